"""Pacifica: a perps account's measures and its ledger of events, newest first."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar, Literal, TypeVar

from pydantic import Field

from monitor.engine.ports import Budget, Windows
from monitor.errors import ProviderError, ProviderRefused, ProviderThrottled, ProviderUnreachable
from monitor.fields import Duration, Section
from monitor.model.event import Ledger, walk
from monitor.model.record import Account, Answer, Record
from monitor.model.window import micros
from monitor.providers.answers import accept, redacted
from monitor.providers.base import AccountSettings, ApiKey, BaseUrl, ProviderSettings
from monitor.providers.http import Http
from monitor.providers.pacifica_dig import Dig
from monitor.providers.pacifica_events import (
    History,
    corrections_of,
    doubts,
    events_of,
    explained,
    imported_of,
    restated,
)
from monitor.providers.pacifica_rows import (
    ASSET,
    KINDS,
    Info,
    Row,
    info,
    ledger_row,
    oldest_first,
    page,
    quota,
    refusal,
    snapshot,
    wait,
)
from monitor.providers.times import Since, late_before

T = TypeVar("T")

HISTORY = "/account/balance/history"
#: The one stream of events of an account, by its name in `Record.ledgers`.
STREAM = "balance"
#: Row keys remembered of an account.
KEEP = 500
#: Looks at the history after which a difference to the account is no race any more.
HIDDEN_AFTER = 2
#: Oddities of one account that are told at all.
MAX_DOUBTS = 100


class Events(Section):
    """`{start_from: now}`, or a time: what happened since then is told at the first poll."""

    start_from: Since = "now"


class PacificaAccount(AccountSettings):
    """`{address: 42trU9A5…, events: {start_from: now}}`; a subaccount is an account of its own."""

    address: str = Field(pattern=r"^[1-9A-HJ-NP-Za-km-z]{1,64}$", description="Solana address, case matters")
    events: Events = Events()

    def target(self) -> tuple[str, datetime | None]:
        start = self.events.start_from
        return self.address, None if start == "now" else start

    def wallet(self) -> str:
        return self.address


class Pacifica(ProviderSettings):
    """perps: {type: pacifica, auth: {api_key: {env: PACIFICA_API_KEY}}}; the key only raises the quota"""

    MEASURES: ClassVar[tuple[str, ...]] = (
        "available", "total", "pending", "equity", "margin_used", "withdrawable",
    )  # fmt: skip
    KINDS: ClassVar[tuple[str, ...]] = tuple(KINDS)
    LEDGER: ClassVar[tuple[str, ...]] = (ASSET,)

    type: Literal["pacifica"]
    base_url: BaseUrl = Field(default="https://api.pacifica.fi/api/v1", description="including /api/v1")
    auth: ApiKey | None = None
    accounts: Mapping[str, PacificaAccount] = Field(default_factory=dict)
    account_cost: int = Field(default=1, ge=0, le=1000, description="credits of GET /account")
    history_cost: int | None = Field(
        default=None, ge=0, le=1000, description="credits of a page of history; default 12, with a key 4"
    )
    page_size: int = Field(default=100, ge=1, le=1000)
    max_pages: int = Field(default=5, ge=1, le=100, description="pages of one account in one poll")
    history_every: Duration = Field(
        default=timedelta(minutes=10), description="read the history this often although nothing changed"
    )
    overlap: Duration = Field(
        default=timedelta(hours=1),
        ge=timedelta(0),
        description="how far before the newest row late rows count",
    )

    def origin(self) -> str:
        return self.base_url

    def quota(self) -> Windows:
        """In credits. Without a key the vendor counts per IP: a fifth is left for its other users."""
        return super().quota() or ((300 if self.auth else 80, timedelta(minutes=1)),)

    def poll_cost(self) -> int:
        return self.account_cost

    def page_cost(self) -> int:
        """Credits of one page of history."""
        return self.history_cost if self.history_cost is not None else 4 if self.auth else 12

    def connect(self, http: Http) -> "PacificaProvider":
        return PacificaProvider(self, http)


@dataclass(slots=True)
class _Memory:
    """What is worth knowing between two polls of an account; forgetting it costs one more read.

    `signature`, `read_at` and `ledger` belong to the last look at the history that came to an end.
    """

    signature: tuple[str, ...] | None = None
    read_at: datetime | None = None
    ledger: Ledger | None = None
    dig: Dig | None = None
    behind: bool = False
    differs: int = 0
    doubted: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Job:
    """What the requests of one poll have in common. `seen` is the account as it was just before."""

    account: Account
    record: Record
    budget: Budget
    now: datetime
    address: str
    seen: Info


class PacificaProvider:
    """Reads the account at every poll, and its history when something happened or might have."""

    __slots__ = ("_headers", "_http", "_memories", "_secrets", "_spec")

    def __init__(self, spec: Pacifica, http: Http) -> None:
        self._spec, self._http = spec, http
        key = spec.auth.api_key.get_secret_value() if spec.auth else ""
        self._secrets = (key,) if key else ()
        self._headers = {"PF-API-KEY": key} if key else {}
        self._memories: dict[str, _Memory] = {}

    async def poll(self, account: Account, record: Record, budget: Budget, now: datetime) -> Answer:
        """The measures, whatever the history does; ProviderError only if the account cannot be read."""
        assert isinstance(account.target, tuple)
        address, start = account.target
        seen = await self._get("/account", {"account": address}, budget, self._spec.account_cost, now, info)
        job = _Job(account, record, budget, now, address, seen)
        memory = self._memories.setdefault(account.name, _Memory())
        history = History(record.ledgers.get(STREAM))
        if self._due(job, memory):
            history = await self._read(job, memory, start)
        return Answer(
            snapshot=snapshot(job.seen, account, now),
            events=history.events,
            ledgers={} if history.ledger is None else {STREAM: history.ledger},
            gap=history.gap,
            restated=history.restated,
            notes=history.notes,
            lost=history.lost,
            explained={ASSET: history.explained},
            imported=history.imported,
            corrections=history.corrections,
        )

    def _due(self, job: _Job, memory: _Memory) -> bool:
        """Whether the history may hold something new. Movements can cancel out, so now and then always."""
        return (
            memory.read_at is None
            or memory.signature != job.seen.signature
            # What we last handed over was not committed, or another process has read since.
            or memory.ledger != job.record.ledgers.get(STREAM)
            or job.record.failing_since is not None
            or job.now - memory.read_at >= self._spec.history_every
        )

    async def _read(self, job: _Job, memory: _Memory, start: datetime | None) -> History:
        """Dig until known rows; if that takes longer than this poll may, the next one goes on deeper."""
        ledger = job.record.ledgers.get(STREAM)
        base = ledger
        if base is None and start is not None:
            base = Ledger(checkpoint=micros(start), floor=micros(start))
        dig = memory.dig if memory.dig and memory.dig.base == base else Dig(base)
        # Whatever happened while we dig is above it: look again at the next poll.
        unfinished, memory.dig, memory.signature = memory.dig is dig, None, None
        try:
            if not await self._dig(job, dig):
                memory.dig, memory.behind = dig, True
                return History(ledger, gap=f"{len(dig.rows)} rows read, known ones not yet reached")
        except ProviderError as error:
            # A cursor may have expired: only what surely is the provider's weakness leaves it usable.
            memory.dig = dig if isinstance(error, ProviderThrottled | ProviderUnreachable) else None
            memory.behind = True
            return History(ledger, gap=f"{len(dig.rows)} rows read, then: {error}")
        history = self._learned(job, memory, dig)
        memory.signature = None if unfinished else job.seen.signature
        memory.read_at, memory.ledger, memory.behind = job.now, history.ledger, False
        return history

    async def _dig(self, job: _Job, dig: Dig) -> bool:
        """Up to `max_pages` further back; whether it has come to an end."""
        for _ in range(self._spec.max_pages):
            params = {
                "account": job.address,
                "limit": str(self._spec.page_size),
                "include_trades": "true",
                **({"cursor": dig.cursor} if dig.cursor else {}),
            }
            found = await self._get(HISTORY, params, job.budget, self._spec.page_cost(), job.now, page)
            if dig.take(found):
                return True
        return False

    def _learned(self, job: _Job, memory: _Memory, dig: Dig) -> History:
        rows = oldest_first(dig.rows)
        walked = walk(
            dig.base,
            [ledger_row(row) for row in rows],
            overlap=self._spec.overlap // timedelta(microseconds=1),
            keep=KEEP,
            now=micros(job.now),
            since=dig.since,
        )
        late = late_before(job.record, job.now, self._spec.overlap, behind=memory.behind)
        return History(
            ledger=walked.ledger,
            events=events_of(rows, walked, job.account, late, job.now),
            lost=dig.lost,
            explained=explained(rows, walked),
            restated=restated(walked),
            notes=(*_notes(rows, memory, job.seen), *_news(memory, doubts(rows, walked))),
            imported=imported_of(rows, walked, job.account, job.now) if dig.base is None else (),
            corrections=corrections_of(rows, walked, job.account, late, job.now),
        )

    async def _get(
        self,
        path: str,
        params: Mapping[str, str],
        budget: Budget,
        cost: int,
        now: datetime,
        parse: Callable[[bytes], T],
    ) -> T:
        """What a success says. Their count of our credits is believed, whatever the answer is."""
        reply = await self._http.get(path, budget=budget, cost=cost, params=params, headers=self._headers)
        left, _ = quota(reply.headers)
        if left is not None and reply.status != 429:
            # A 429 says how long to wait, which is less than the minute that an empty window would take.
            await budget.correct(left)
        try:
            return parse(accept(reply, now, wait=wait).body)
        except ProviderError as error:
            # Whatever was quoted, in whichever place: an answer may echo the request.
            error.args = (redacted(str(error), self._secrets),)
            raise (refusal(error) if isinstance(error, ProviderRefused) else error) from None


def _notes(rows: list[Row], memory: _Memory, seen: Info) -> list[str]:
    """Rows that we do not get to see: the newest balance stays another one."""
    memory.differs = memory.differs + 1 if rows and rows[-1].balance != seen.balance else 0
    hidden = memory.differs == HIDDEN_AFTER
    return ["the newest row's balance is not the account's: some rows are hidden"] if hidden else []


def _news(memory: _Memory, found: Mapping[str, str]) -> list[str]:
    """What has not been said before, by this process."""
    fresh = {key: text for key, text in found.items() if key not in memory.doubted}
    if len(memory.doubted) + len(fresh) > MAX_DOUBTS:
        return []
    memory.doubted.update(fresh)
    return list(fresh.values())
