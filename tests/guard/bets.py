"""A guard over the model, with everybody it works with; each test says what they know and do."""

import asyncio
import itertools
from dataclasses import dataclass, field
from datetime import timedelta

from monitor.deadlines import Deadlines
from monitor.engine.audit import Audit
from monitor.engine.guard_undo import Undoing
from monitor.engine.guarding import Guard
from monitor.guard import units
from monitor.guard.hold import Switch
from monitor.guard.policy import Policy
from monitor.model.record import Account
from tests.builders import seconds
from tests.fakes import FakeClock
from tests.guard.asks import terms
from tests.guard.model import ModelGuard


def policy(**changes) -> Policy:
    """The defaults of the configuration."""
    plain = Policy(
        terms=terms(), max_age=seconds(150), soft_age=seconds(90), on_stale="deny", ttl=seconds(30),
        ttl_max=seconds(900), amount_min=units.parse("0.01")[0], amount_max=units.parse("10000")[0],
        deadline=seconds(0.25), refresh_wait=seconds(0.3),
    )  # fmt: skip
    return plain._replace(**changes)


def account(name="player-7", **changes) -> Account:
    return Account(name, "casino", seconds(60), seconds(180), **changes)


@dataclass
class Heard:
    """Implements Meter by writing down."""

    said: list = field(default_factory=list)

    def decided(self, reason, took, age):
        self.said.append(("decided", reason))

    def undecided(self, why, took):
        self.said.append(("undecided", why))

    def resolved(self, call, outcome):
        self.said.append((call, outcome))

    def refreshed(self, outcome):
        self.said.append(("refreshed", outcome))

    def undone(self, outcome):
        self.said.append(("undone", outcome))

    def unaudited(self, count):
        self.said.append(("unaudited", count))


@dataclass
class Known:
    """Implements Accounts. `late` are known to the store alone, `over` are sessions that have ended."""

    here: dict = field(default_factory=dict)
    late: dict = field(default_factory=dict)
    over: set = field(default_factory=set)

    def get(self, name):
        return self.here.get(name)

    async def find(self, name):
        return self.here.get(name) or self.late.get(name)

    def session_over(self, name):
        return name in self.over


@dataclass
class Rereading:
    """Implements Refreshing. `bring` is what a reading does; `outcome` what is told of it."""

    outcome: str = "read"
    bring: object = None
    took: float = 0
    soons: list = field(default_factory=list)
    nows: list = field(default_factory=list)

    def soon(self, account, tell):
        self.soons.append(account.name)
        tell("asked")

    async def now(self, account, within, since=None):
        self.nows.append((account.name, within))
        await asyncio.sleep(self.took)
        if self.bring is not None:
            self.bring()
        return self.outcome


@dataclass
class Board:
    """Implements SwitchBoard over the store's switch."""

    store: ModelGuard
    switch: Switch = field(default_factory=Switch)

    async def closed(self, _now):
        return self.switch.comment or None

    async def close(self, comment, author):
        self.switch = Switch(self.store.clock(), comment, author)
        await self.store.close_guard(self.switch)
        return self.switch

    async def open(self):
        self.switch = Switch()
        await self.store.open_guard()


class Bets:
    """Everything that a guard needs, by name. `late` is what was told of debits that came too late, `stood_still` for
    how many seconds the process was stopped."""

    def __init__(self, clock=None):
        self.clock = clock or FakeClock()
        self.store = ModelGuard(self.clock)
        self.meter, self.accounts, self.refreshing = Heard(), Known(), Rereading()
        self.board, self.late, self.stood_still = Board(self.store), [], 0.0
        self.audit = Audit(self.meter)
        self.undoing = Undoing(self.store, self.clock, self.meter)
        self.names = itertools.count(1)

    def guard(self, accounts=None, store=None, **changes) -> Guard:
        """A guard with such a policy; `store` may stand before the model."""
        self.accounts.here |= accounts if accounts is not None else {"player-7": account()}
        self.undoing._store = store or self.store
        return Guard(
            policy(**changes), store or self.store, self.accounts, self.refreshing, self.board, self.clock, self.meter,
            self.audit, self.undoing, lambda call, hold: self.late.append((call, hold.id)),
            lambda: f"dec_{next(self.names)}", Deadlines(self._elapsed),
        )  # fmt: skip

    def _elapsed(self) -> float:
        return self.stood_still + asyncio.get_running_loop().time()

    def pass_(self, time: timedelta) -> None:
        self.clock.pass_(time)
