"""A store that remembers in a dictionary, and a real server on a real socket around it."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from aiohttp import ClientSession, TraceConfig

from monitor.api.context import ApiContext, Check
from monitor.api.routes import ROUTES
from monitor.api.server import App, serve
from monitor.engine.everyone import Everyone
from monitor.engine.watchports import Kept
from monitor.errors import StoreUnavailable
from monitor.metrics import Metrics
from monitor.model.alert import Alert, State
from monitor.model.event import Event
from monitor.model.record import Account, Point, Record, Row
from monitor.model.silence import Silence
from monitor.model.snapshot import Snapshot
from monitor.model.watch import Ended
from tests.api.conformance import check
from tests.fakes import FakeClock
from tests.guard.bets import Bets

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass
class MemoryStore:
    """Reader and `poll_now`, in memory. `polling` is what a poll would write once it is asked for."""

    records: dict[str, Record] = field(default_factory=dict)
    due: dict[str, datetime] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)
    ledger: dict[str, list[Event]] = field(default_factory=dict)
    polling: dict[str, Record] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    loads: list[int] = field(default_factory=list)
    owed: list[Row] = field(default_factory=list)
    down: bool = False
    kept: dict[str, Silence] = field(default_factory=dict)
    full: bool = False

    def _answer(self):
        if self.down:
            raise StoreUnavailable("connection refused to redis://:hunter22@db:6379")

    async def load_many(self, accounts):
        self._answer()
        self.loads.append(len(accounts))
        return [self.records.get(name, Record(account=name)) for name in accounts]

    async def due_at(self, provider, account):
        self._answer()
        return self.due.get(account)

    async def history(self, account, asset, measure, since, until, limit):
        self._answer()
        wanted = [p for p in self.points if (p.asset, p.measure) == (asset, measure) and since <= p.at <= until]
        return wanted[-limit:]

    async def recent_events(self, account, before, limit):
        self._answer()
        newest = list(reversed(list(enumerate(self.ledger.get(account, [])))))
        return [(str(i), e) for i, e in newest if before is None or i < int(before)][:limit]

    async def amend(self, provider, commit):
        self._answer()
        if self.records[commit.record.account].version != commit.before.version:
            return "moved"
        self.records[commit.record.account] = replace(commit.record, version=commit.before.version + 1)
        self.owed += commit.rows
        return "written"

    async def story(self, alert):
        self._answer()
        return ()

    async def move(self, account):
        self._answer()

    async def silences(self, now):
        self._answer()
        return tuple(self.kept.values())

    async def add_silence(self, silence):
        self._answer()
        if not self.full:
            self.kept[silence.id] = silence
        return not self.full

    async def end_silence(self, name, now):
        self._answer()
        if name in self.kept:
            self.kept[name] = replace(self.kept[name], ends_at=now)
        return self.kept.get(name)

    async def open_accounts(self):
        self._answer()
        return [name for name, record in self.records.items() if record.alerts]

    async def poll_now(self, provider, account):
        self._answer()
        self.asked.append((provider, account))
        if account in self.polling:
            self.records[account] = self.polling.pop(account)


@dataclass
class MemoryWatches:
    """What the API needs of the accounts made at run time; `put` and `remove` do what the test says."""

    configured: dict
    watched: dict = field(default_factory=dict)
    ends: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)
    wrong: Exception | None = None

    async def find(self, name):
        return self.configured.get(name) or self.watched.get(name)

    def is_configured(self, name):
        return name in self.configured

    def expires_at(self, name):
        return self.ends.get(name)

    async def put(self, name, provider, settings, expires_in):
        if self.wrong is not None:
            raise self.wrong
        new = name not in self.watched
        self.asked.append((name, provider, settings, expires_in))
        self.watched[name] = _account(name, provider=provider)
        self.ends[name] = None if expires_in is None else NOON + expires_in
        return Kept(self.watched[name], self.ends[name], new)

    async def remove(self, name):
        gone = self.watched.pop(name, None)
        return gone and Ended(name, gone.provider, "account_removed", 1)


def _account(name="hot-usdt", **changes):
    plain = Account(name=name, provider="casino", interval=timedelta(seconds=60), stale_after=timedelta(minutes=3))
    return replace(plain, **changes)


def _record(name="hot-usdt", available="412.50", **changes):
    amounts = {"USDT": {"available": Decimal(available), "total": Decimal(500)}}
    plain = Record(account=name, version=7, snapshot=Snapshot(observed_at=NOON, amounts=amounts))
    return replace(plain, **changes)


def _alert(name="alr_1", **changes):
    plain = Alert(
        fingerprint="f00d", id=name, rule="HotWalletLow", subject="USDT", state=State.FIRING,
        severity="critical",
        pending_since=NOON - timedelta(minutes=5), observed_at=NOON, started_at=NOON - timedelta(minutes=3),
        value=Decimal("412.50"), threshold=Decimal(80_000), measure="available", unit="USDT",
    )  # fmt: skip
    return replace(plain, **changes)


@pytest.fixture
def account():
    return _account


@pytest.fixture
def record():
    return _record


@pytest.fixture
def alert():
    return _alert


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def bets():
    """A guard over the model, at 48 s after noon."""
    return Bets(FakeClock(NOON + timedelta(seconds=48)))


@pytest.fixture
def context(store, bets):
    async def fine():
        return [Check("store", True)]

    def make(*accounts, **changes):
        known = {one.name: one for one in accounts or (_account(),)}
        watches = MemoryWatches(known)
        plain = ApiContext(
            accounts=Everyone(known, watches.watched), watches=watches, store=store,
            clock=lambda: NOON + timedelta(seconds=48),
            metrics=Metrics("0.1.0"), readiness=fine, guard=bets.guard(known, deadline=timedelta(seconds=10)),
        )  # fmt: skip
        return replace(plain, **changes)

    return make


async def _conforms(_session, _context, ended):
    """Every answer of every test is one that the OpenAPI document allows."""
    answer = ended.response
    check(ended.method, ended.url.raw_path, answer.status, answer.content_type, await answer.read())


def judged():
    """Looks at every answer that a session gets."""
    tracing = TraceConfig()
    tracing.on_request_end.append(_conforms)
    return tracing


@pytest.fixture
async def start():
    """Start a server for a context; `(client, serving)`. Everything is closed at the end."""
    opened = []

    async def starting(api, routes=ROUTES, listen="127.0.0.1:0", token=None):
        serving = await serve(App(api, routes), listen)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        tracing = [judged()] if routes is ROUTES else []
        client = ClientSession(f"http://127.0.0.1:{serving.port}", headers=headers, trace_configs=tracing)
        opened.extend((serving, client))
        return client, serving

    yield starting
    for thing in reversed(opened):
        await thing.close()
