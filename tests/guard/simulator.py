"""A casino, a provider and the guard between them, on a clock of their own: one seed is one schedule.

The provider books debits late, its reads trail its writes, its answers come late, in another order or not at all, and
it lies about how old they are. The casino loses answers, rolls back bets that have not come yet, repeats itself,
commits late and less, and wins. What the provider's ledger truly holds is known here, and so is each promise that was
made: `run` tells where more was promised than there was.
"""

import heapq
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import NamedTuple, Protocol

from monitor.engine.guardports import GuardStore
from monitor.guard import units
from monitor.guard.hold import Ask, Terms, Verdict
from monitor.model.feed import Fed, Feed
from tests.builders import NOON, seconds
from tests.fakes import FakeClock
from tests.guard.model import ModelGuard

ACCOUNT, ASSET, CALLER = "player-7", "USDT", "casino"
#: What the casino plays for, and how long after that it only waits for what is on its way.
PLAYED, AFTER = 60.0, 40.0
#: A poll that takes longer may be overtaken by another one.
LEASE = seconds(1)
_START = 100


class Ground(Protocol):
    """A guard, and the way by which readings come to it."""

    guard: GuardStore

    async def begin(self) -> object | None:
        """A poll begins, as of now; None: somebody is at it."""
        ...

    async def arrive(self, poll: object, feed: Feed) -> None:
        """Its answer is here."""
        ...

    async def tend(self, terms: Terms) -> None:
        """The janitor comes round."""
        ...

    async def won(self, amount: int) -> None:
        """The casino says that the player has won this; no provider has booked it yet."""
        ...


class ModelGround:
    """On the model: only the newest poll may be written."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.guard = ModelGuard(clock)
        self._token = 0

    async def begin(self) -> object:
        self._token += 1
        return self._clock(), self._token

    async def arrive(self, poll: object, feed: Feed) -> None:
        start, token = poll
        if token == self._token:
            self.guard.feed(ACCOUNT, feed.assets, min(start, feed.as_of or start), token)

    async def tend(self, terms: Terms) -> None:
        """Nothing is counted in advance here."""

    async def won(self, amount: int) -> None:
        """Nothing: only a reading shows it."""


@dataclass
class Result:
    """What became of a schedule. `oversold` and `lies` say what went wrong, with the time; empty is good.

    `wronged` bets were refused for money although the provider had enough for them and for all that was promised.
    """

    seed: int
    bets: int = 0
    refused: int = 0
    wronged: int = 0
    oversold: list[str] = field(default_factory=list)
    lies: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.oversold and not self.lies


class Entry(NamedTuple):
    """A booking at the provider; `told` is from when on the guard could know of it."""

    at: datetime
    amount: int
    told: datetime


@dataclass
class Promise:
    """What the guard answers for: an open hold until its deadline, then a debit until the provider has booked it."""

    amount: int
    until: datetime
    committed: bool = False


class Habits(NamedTuple):
    """How the provider and the casino of one schedule behave."""

    posting_delay: float | None
    read_lag: float
    #: None: the provider's time is not trusted; `honest`: its balances are as old as it says, however old that is;
    #: `liar`: they are no older than the lag, whatever it says.
    as_of: str | None
    interval: float
    slow: float
    pace: float
    ttl: float


def _habits(rnd: Random) -> Habits:
    return Habits(
        posting_delay=rnd.choice((0.0, 1.0, 5.0, 10.0, 10.0, None)),
        read_lag=rnd.choice((0.0, 0.5, 2.0, 4.0)),
        as_of=rnd.choice((None, None, "honest", "liar")),
        interval=rnd.choice((1.0, 3.0, 8.0)),
        slow=rnd.choice((0.1, 2.0, 6.0)),
        pace=rnd.choice((0.5, 1.5, 3.0)),
        ttl=rnd.choice((2.0, 5.0, 20.0)),
    )


class Schedule:
    """Everything that happens, in the order of time."""

    def __init__(self, seed: int, clock: FakeClock, ground: Ground) -> None:
        self.rnd, self.clock, self.ground = Random(seed), clock, ground
        self.habits = _habits(self.rnd)
        delay = self.habits.posting_delay
        self.terms = Terms(
            None if delay is None else seconds(delay), seconds(self.habits.read_lag), seconds(86_400),
            seconds(900), 50, "subtract",
        )  # fmt: skip
        self.result = Result(seed)
        self.ledger = [Entry(NOON - seconds(60), _START * 10**18, NOON)]
        self.promises: dict[str, Promise] = {}
        self.told: dict[str, Verdict] = {}
        self.over: set[str] = set()
        self._agenda: list[tuple[datetime, int, Callable[[], Awaitable[None]]]] = []
        self._count = 0

    def later(self, after: float, act: Callable[[], Awaitable[None]]) -> None:
        """Do this so many seconds from now."""
        self._count += 1
        heapq.heappush(self._agenda, (self.clock() + seconds(after), self._count, act))

    async def run(self) -> Result:
        self.later(0, self.poll)
        self.later(self.habits.slow, self.bet)
        self.later(self.rnd.uniform(1, 20), self.tend)
        self.later(self.rnd.uniform(0, PLAYED), self.deposit)
        end = self.clock() + seconds(PLAYED + AFTER)
        while self._agenda and self._agenda[0][0] <= end:
            self.clock.now, _, act = heapq.heappop(self._agenda)
            await act()
        return self.result

    @property
    def playing(self) -> bool:
        return self.clock() < NOON + seconds(PLAYED)

    # The provider.

    def balance(self, at: datetime, *, told: datetime | None = None) -> int:
        """What its ledger says then; of what the guard was told by then, where asked for."""
        return sum(one.amount for one in self.ledger if one.at <= at and (told is None or one.told <= told))

    def spare(self) -> int:
        """What it truly has now beyond all that was promised."""
        now = self.clock()
        return self.balance(now, told=now) - sum(one.amount for one in self.promises.values() if one.until > now)

    def book(self, after: float, amount: int, told: datetime | None = None) -> datetime:
        at = self.clock() + seconds(after)
        self.ledger.append(Entry(at, amount, told or NOON))
        return at

    async def deposit(self) -> None:
        self.book(0, self.rnd.randrange(10, 60) * 10**18)

    async def poll(self) -> None:
        """The request may fail; the answer may come after those of later ones."""
        if self.playing:
            self.later(self.rnd.uniform(0.5, 1.5) * self.habits.interval, self.poll)
        poll = await self.ground.begin()
        if poll is None or self.rnd.random() < 0.12:
            return
        start, took = self.clock(), self.rnd.uniform(0, self.habits.slow)
        lag = self.rnd.uniform(0, self.habits.read_lag)
        if self.habits.as_of == "honest":
            lag = self.rnd.choice((0.0, self.rnd.uniform(0, 20)))
        shown = start + seconds(self.rnd.uniform(0, took))

        async def arrive() -> None:
            seen = shown - seconds(lag)
            as_of = {None: start, "honest": seen, "liar": seen + seconds(self.rnd.uniform(-5, 60))}[self.habits.as_of]
            available = Decimal(units.text(self.balance(seen)))
            await self.ground.arrive(poll, Feed({ASSET: Fed(available, Decimal(0))}, as_of if as_of < start else None))

        self.later(took, arrive)

    # The casino.

    async def tend(self) -> None:
        await self.ground.tend(self.terms)
        if self.playing:
            self.later(self.rnd.uniform(1, 20), self.tend)

    async def bet(self) -> None:
        """A bet, all that follows from it, and the next one."""
        rnd = self.rnd
        if not self.playing:
            return
        self.later(rnd.expovariate(1 / self.habits.pace), self.bet)
        self.result.bets += 1
        name = f"bet-{self.result.bets}"
        amount = rnd.randrange(5, 70) * 10**18 + rnd.choice((0, 1, rnd.randrange(10**18)))
        ask = Ask(CALLER, name, ACCOUNT, ASSET, amount, 18, seconds(self.habits.ttl), seconds(150), f"dec_{name}")
        if rnd.random() < 0.06:
            # The casino gave up before the bet came: the rollback overtakes it.
            await self.release(name)
            self.later(rnd.uniform(0, 5), lambda: self.put(ask))
            return
        verdict = await self.put(ask)
        if rnd.random() < 0.1:
            self.later(rnd.uniform(0, 2 * self.habits.ttl), lambda: self.put(ask))
        if verdict.allowed:
            self.follow(ask, rnd.random(), rnd.uniform(0, 0.98) * self.habits.ttl)

    def follow(self, ask: Ask, luck: float, think: float) -> None:
        """How a bet that was allowed goes on."""
        name, amount, rnd = ask.hold, ask.amount, self.rnd
        if luck < 0.5:
            self.later(think, lambda: self.commit(name, amount, None))
        elif luck < 0.68:
            final = rnd.randrange(amount + 1)
            self.later(think, lambda: self.commit(name, amount, final))
        elif luck < 0.82:
            self.later(think, lambda: self.release(name))
        elif luck < 0.9:
            self.later(self.habits.ttl + rnd.uniform(0, 10), lambda: self.commit(name, amount, None))
        elif luck < 0.93:
            self.later(self.habits.ttl + rnd.uniform(0, 10), lambda: self.settle_late(name, amount))

    async def put(self, ask: Ask) -> Verdict:
        """Ask, and judge the answer by what is true."""
        name, now, spare = ask.hold, self.clock(), self.spare()
        verdict = await self.ground.guard.hold(ask, self.terms)
        before = self.told.setdefault(name, verdict)
        alive = name in self.promises and (self.promises[name].committed or self.promises[name].until > now)
        if verdict.allowed and (name in self.over or not before.allowed or (before is not verdict and not alive)):
            self.lie(f"{name} is allowed although it was {before.reason} and is over")
        if before is verdict and verdict.allowed:
            self.promise(name, ask.amount, now + ask.ttl)
        elif before is verdict and name not in self.over:
            self.result.refused += 1
            self.result.wronged += verdict.reason == "INSUFFICIENT_FUNDS" and spare >= ask.amount
        return verdict

    def promise(self, name: str, amount: int, until: datetime) -> None:
        if self.spare() < amount:
            short, at = units.text(amount - self.spare()), self.clock() - NOON
            self.result.oversold.append(f"at {at}: {name} for {units.text(amount)} is {short} more than there is")
        self.promises[name] = Promise(amount, until)

    def lie(self, what: str) -> None:
        self.result.lies.append(f"at {self.clock() - NOON}: {what}")

    async def release(self, name: str) -> None:
        self.over.add(name)
        told = await self.ground.guard.release_hold(CALLER, name, self.terms)
        if told.outcome != "done":
            self.lie(f"the release of {name} is refused: {told.outcome}")
        self.promises.pop(name, None)

    async def commit(self, name: str, amount: int, final: int | None) -> None:
        """A commit that is accepted becomes a debit, which the provider books within its delay, or says when."""
        told = await self.ground.guard.commit_hold(CALLER, name, final, self.terms)
        late = self.promises[name].until <= self.clock()
        if told.outcome != "done":
            if not late and not self.excused(name):
                self.lie(f"the commit of {name} is refused: {told.outcome}")
            return
        stake = amount if final is None else final
        if late:
            self.promise(name, stake, self.clock())
        delay = self.habits.posting_delay
        posting = self.rnd.uniform(0, 20 if delay is None else delay) * self.rnd.choice((0.1, 1))
        self.promises[name] = Promise(stake, self.book(posting, -stake), committed=True)
        if delay is None or self.rnd.random() < 0.3:
            self.later(posting + self.rnd.uniform(0, 3), lambda: self.settle(name))
        if self.rnd.random() < 0.35:
            self.win(posting, int(stake * self.rnd.uniform(0.5, 3)))

    def excused(self, name: str) -> bool:
        """Whether a hold may end before its deadline."""
        return False

    def win(self, posting: float, amount: int) -> None:
        said = self.rnd.uniform(0, 3)
        self.book(max(said, posting) + self.rnd.uniform(0, 8), amount)
        self.later(said, lambda: self.ground.won(amount))

    async def settle(self, name: str) -> None:
        told = await self.ground.guard.settle_hold(CALLER, name, self.terms)
        if told.outcome != "done":
            self.lie(f"settled of {name} is refused: {told.outcome}")

    async def settle_late(self, name: str, amount: int) -> None:
        """The provider booked it at some time before, and the guard hears of it only now: from now on it counts."""
        now = self.clock()
        self.ledger.append(Entry(now - timedelta(seconds=self.rnd.uniform(0, self.habits.ttl)), -amount, now))
        told = await self.ground.guard.settle_hold(CALLER, name, self.terms)
        if told.outcome != "hold-expired" or not told.late:
            self.lie(f"settled of {name} after its end is told as {told.outcome}")


async def run(
    seed: int, ground: Callable[[FakeClock], Awaitable[Ground]], schedule: type[Schedule] = Schedule
) -> Result:
    """The schedule of this seed, on a ground made for it."""
    clock = FakeClock()
    return await schedule(seed, clock, await ground(clock)).run()
