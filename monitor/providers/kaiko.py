"""Kaiko's wallet audit: Bitcoin balances of lists of addresses, and their transactions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from monitor.engine.ports import Budget
from monitor.errors import ProviderError, ProviderRefused, ProviderThrottled
from monitor.fields import Duration
from monitor.model.event import Ledger, Walked, walk
from monitor.model.money import ZERO
from monitor.model.record import Account, Answer, Record
from monitor.model.window import micros
from monitor.providers.base import AccountSettings, ApiKey, BaseUrl, ProviderSettings
from monitor.providers.http import Http
from monitor.providers.kaiko_audit import Asked, Audit, Capped, Found
from monitor.providers.kaiko_reading import Reading, combine, events_of, imported_of, ledger_row, priced
from monitor.providers.kaiko_rows import ASSET, Row, covers_everything, newest, older_block_follows
from monitor.providers.times import late_before

#: Row keys remembered of an address. Fewer than one walk reads, so that every walk gets further.
KEEP = 5_000


def _listed(value: object) -> object:
    """A CSV cell holds its addresses separated by blanks, commas or semicolons."""
    return tuple(value.replace(",", " ").replace(";", " ").split()) if isinstance(value, str) else value


Address = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{8,128}$")]


class KaikoAccount(AccountSettings):
    """`{addresses: [bc1q…, 1Ffm…]}`: list all of a wallet's addresses, change addresses too."""

    addresses: Annotated[tuple[Address, ...], BeforeValidator(_listed)] = Field(
        min_length=1, description="all addresses of the wallet; there is no xpub"
    )

    def target(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.addresses))


class Kaiko(ProviderSettings):
    """chain: {type: kaiko, region: eu, auth: {api_key: {env: KAIKO_API_KEY}}}"""

    MEASURES: ClassVar[tuple[str, ...]] = ("available", "total")
    WORTHS: ClassVar[bool] = True
    KINDS: ClassVar[tuple[str, ...]] = ("transfer", "mining_reward")
    LEDGER: ClassVar[tuple[str, ...]] = (ASSET,)

    type: Literal["kaiko"]
    region: Literal["us", "eu"] = "us"
    base_url: BaseUrl | None = Field(default=None, description="instead of region")
    auth: ApiKey
    accounts: Mapping[str, KaikoAccount] = Field(default_factory=dict)
    page_size: int = Field(default=1000, ge=1, le=5000)
    max_pages: int = Field(default=50, ge=1, le=1000, description="pages of one address in one poll")
    overlap: Duration = Field(
        default=timedelta(hours=2),
        ge=timedelta(0),
        description="how far before the newest row late rows count",
    )
    empty: Literal["auto", "zero", "unknown"] = Field(
        default="auto",
        description="an address without rows: auto is 0 if the plan covers all of Bitcoin's history",
    )
    start_parameter: str = Field(default="start_time", pattern=r"^\w{1,64}$")
    end_parameter: str = Field(default="end_time", pattern=r"^\w{1,64}$")

    def origin(self) -> str:
        return (self.base_url or f"https://{self.region}.market-api.kaiko.io").rstrip("/")

    def connect(self, http: Http) -> "KaikoProvider":
        return KaikoProvider(self, http)


@dataclass(frozen=True, slots=True)
class _Job:
    """What all requests of one poll have in common."""

    account: Account
    record: Record
    budget: Budget
    now: datetime


class KaikoProvider:
    """Reads each address of an account; one that fails leaves the others' events and ledgers usable."""

    __slots__ = ("_audit", "_behind", "_spec")

    def __init__(self, spec: Kaiko, http: Http) -> None:
        self._spec = spec
        self._audit = Audit(
            http=http,
            origin=spec.origin(),
            key=spec.auth.api_key.get_secret_value(),
            page_size=spec.page_size,
            max_pages=spec.max_pages,
            start_parameter=spec.start_parameter,
            end_parameter=spec.end_parameter,
        )
        #: Addresses whose last walk did not reach the end: what the next one finds is late.
        self._behind: set[tuple[str, str]] = set()

    async def poll(self, account: Account, record: Record, budget: Budget, now: datetime) -> Answer:
        """The sum over the account's addresses and their new transactions; ProviderError if none was read."""
        assert isinstance(account.target, tuple)
        job = _Job(account, record, budget, now)
        readings: list[Reading] = []
        errors: list[ProviderError] = []
        for address in account.target:
            ledger = record.ledgers.get(address)
            try:
                if errors and isinstance(errors[-1], ProviderThrottled):
                    raise errors[-1]
                readings.append(await self._read(job, address, ledger))
            except ProviderError as error:
                if isinstance(error, ProviderRefused) and error.scope == "credentials":
                    raise
                errors.append(error)
                readings.append(Reading(address, ledger, why=str(error), gap=str(error)))
        if len(errors) == len(account.target):
            raise errors[0]
        self._remember(account, readings)
        return combine(account, readings, record.ledgers, now)

    def _remember(self, account: Account, readings: Sequence[Reading]) -> None:
        for reading in readings:
            place = (account.name, reading.address)
            (self._behind.add if reading.gap else self._behind.discard)(place)

    async def _read(self, job: _Job, address: str, ledger: Ledger | None) -> Reading:
        if ledger is None:
            return await self._first(job, address)
        # An address that never had a row is asked for everything, so that none still means zero.
        start = ledger.floor if ledger.known else None
        found = await self._audit.walk(Asked(address, "asc", job.budget, job.now, start))
        if found.ended and not found.rows:
            return await self._nothing(job, address, ledger, found)
        if found.error is None:
            last = newest(found.rows)
            assert last is not None
            return self._learned(job, Reading(address, ledger), found.rows, last, None)
        gap = f"the walk stopped after {len(found.rows)} rows: {found.error}"
        if not isinstance(found.error, Capped | ProviderThrottled):
            # The rows after a failed page may belong before those we have: wait for a walk that ends.
            return Reading(address, ledger, why=gap, gap=gap)
        # The last block may go on behind the cut; everything before it is whole and may be committed.
        until = found.rows[-1].at - 1 if found.rows else -1
        last = await self._probe(job, address) if isinstance(found.error, Capped) else None
        return self._learned(job, Reading(address, ledger, why=gap, gap=gap), found.rows, last, until)

    async def _first(self, job: _Job, address: str) -> Reading:
        """The baseline: the newest block whole, and whatever else came with it; no events."""
        found = await self._newest(job, address)
        if found.error is not None:
            why = f"the newest block could not be read whole: {found.error}"
            return Reading(address, None, why=why, gap=why)
        last = newest(found.rows)
        if last is None:
            return self._empty(job, Reading(address, None), found)
        rows = list(reversed(found.rows))
        walked = self._walked(job, address, None, rows, 0 if found.ended else rows[0].at + 1)
        return Reading(
            address,
            walked.ledger,
            balance=last.balance_after,
            usd=priced(last, job.now),
            imported=imported_of(rows, walked, job.account, address),
        )

    def _empty(self, job: _Job, reading: Reading, found: Found) -> Reading:
        """No row without any filter: zero, if we are told all of history; else not known."""
        covered = covers_everything(found.access)
        ledger = reading.ledger
        if ledger is None:
            # Rows that come later are news; but of what we were not shown, only the newest may be.
            floor = 0 if covered else max(0, micros(job.now) - self._overlap)
            ledger = Ledger(checkpoint=0, floor=floor)
        if self._spec.empty == "zero" or (self._spec.empty == "auto" and covered):
            return replace(reading, ledger=ledger, balance=ZERO, usd=ZERO)
        return replace(reading, ledger=ledger, why="no rows, and the plan does not cover all of history")

    async def _nothing(self, job: _Job, address: str, ledger: Ledger, found: Found) -> Reading:
        """The window is empty. It should hold the newest row again: a reorganisation, or lost access."""
        if not ledger.known:
            return self._empty(job, Reading(address, ledger), found)
        was = job.record.snapshot
        if ledger.expects_rows and not (was is not None and ASSET in was.missing):
            # Doubt it once: a lagging replica answers like this too.
            why = "the newest known row is gone"
            return Reading(address, ledger, why=why, gap=why)
        last = await self._probe(job, address)
        if last is None:
            why = "rows that were known are gone"
            return Reading(address, ledger, why=why, gap=why)
        return self._learned(job, Reading(address, ledger), [], last, None)

    def _learned(self, job: _Job, reading: Reading, rows: list[Row], last: Row | None, until: int | None) -> Reading:
        """`reading` with the events of a walk, whole up to `until`, and the balance after `last`."""
        ledger, address = reading.ledger, reading.address
        assert ledger is not None
        walked = self._walked(job, address, ledger, rows, ledger.floor if ledger.known else 0, until)
        behind = (job.account.name, address) in self._behind
        late = late_before(job.record, job.now, self._spec.overlap, behind=behind)
        heard = events_of(rows, walked, job.account, address, late)
        return replace(
            reading,
            ledger=walked.ledger,
            balance=last.balance_after if last else None,
            usd=priced(last, job.now) if last else None,
            events=tuple(heard.events),
            restated=tuple(heard.restated),
            corrections=tuple(heard.corrections),
        )

    def _walked(
        self,
        job: _Job,
        address: str,
        ledger: Ledger | None,
        rows: Sequence[Row],
        since: int,
        until: int | None = None,
    ) -> Walked:
        return walk(
            ledger,
            [ledger_row(row, address) for row in rows],
            overlap=self._overlap,
            keep=min(KEEP, max(1, self._spec.page_size * self._spec.max_pages // 2)),
            now=micros(job.now),
            since=since,
            until=until,
        )

    async def _newest(self, job: _Job, address: str) -> Found:
        asked = Asked(address, "desc", job.budget, job.now, enough=older_block_follows)
        return await self._audit.walk(asked)

    @property
    def _overlap(self) -> int:
        return self._spec.overlap // timedelta(microseconds=1)

    async def _probe(self, job: _Job, address: str) -> Row | None:
        """The newest row of all; None when it cannot be told now."""
        try:
            found = await self._newest(job, address)
        except ProviderError:
            return None
        return newest(found.rows) if found.error is None else None
