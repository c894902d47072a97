"""Lives of an account: histories as odd as they come, for tests of what holds whatever happens.

A life is a list of polls. It is read into what the provider answered, which depends on nothing the engine makes of it.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st

from monitor.engine.calendar import TimeInterval
from monitor.engine.expected import ExpectedTransfer, by_account
from monitor.model.event import Event, Ledger
from monitor.model.record import Answer
from monitor.model.snapshot import Outage, Snapshot
from tests.builders import NOON, minutes, seconds
from tests.facts import MINUTE, Watched, account, policy, rule

#: `LIVES=5000 pytest …` looks longer than anybody wants to wait every time.
some_lives = settings(max_examples=int(os.environ.get("LIVES", "60")), deadline=None)

ASSETS = ("USDT", "BTC")
#: What is before the first poll.
BEGIN = Decimal(55)
_ONE = Decimal(1)
STREAM = {"main": Ledger(1)}


@dataclass(frozen=True)
class Moved:
    """Money that came or went in a poll; its ledger tells of it so many answers later, as of so many minutes ago."""

    asset: str
    amount: int
    kind: str = "withdraw"
    delay: int = 0
    age: int = 0


@dataclass(frozen=True)
class Poll:
    """What a poll `wait` after the one before reads.

    `words` say of each asset its total, `_` if the answer lacks it, or `same`: as before, but for what `moved`.
    `price` is that of BTC as the provider reports it, `lag` how many minutes ago it says that was.
    """

    wait: timedelta = MINUTE
    words: tuple[str, ...] = ("same", "same")
    moved: tuple[Moved, ...] = ()
    locked: int = 0
    price: int | None = 2
    lag: int | None = None
    failed: bool = False
    gap: bool = False


@dataclass(frozen=True)
class Life:
    polls: list[Poll]
    ledger: bool = False

    def readings(self, scale: Decimal = _ONE) -> list[tuple[datetime, Answer | Outage]]:
        """When the account is polled, and what comes of it; `scale` multiplies every amount."""
        return list(_Provider(ledger=self.ledger, scale=scale).answers(self.polls))


@dataclass
class _Provider:
    ledger: bool
    scale: Decimal
    now: datetime = NOON
    totals: dict[str, Decimal] = field(default_factory=lambda: dict.fromkeys(ASSETS, BEGIN))
    #: Movements that no answer has told, each with how many answers it stays untold.
    owed: list[tuple[int, Event]] = field(default_factory=list)

    def answers(self, polls: list[Poll]) -> Iterator[tuple[datetime, Answer | Outage]]:
        for number, poll in enumerate(polls):
            self.now += poll.wait
            self._move(number, poll)
            yield self.now, self._outage() if poll.failed else self._answer(poll)

    def _move(self, number: int, poll: Poll) -> None:
        for asset, word in zip(ASSETS, poll.words, strict=True):
            if word not in ("same", "_"):
                self.totals[asset] = Decimal(word)
        for place, moved in enumerate(poll.moved):
            self.totals[moved.asset] += moved.amount
            row = Event(
                id=f"e{number}.{place}",
                asset=moved.asset,
                kind=moved.kind,
                direction="in" if moved.amount > 0 else "out",
                amount=abs(moved.amount) * self.scale,
                occurred_at=self.now - minutes(moved.age),
            )
            self.owed.append((moved.delay, row))

    def _outage(self) -> Outage:
        return Outage(at=self.now, kind="unreachable", why="timed out")

    def _answer(self, poll: Poll) -> Answer:
        told = dict(zip(ASSETS, poll.words, strict=True))
        amounts = {asset: self._measures(asset, poll.locked) for asset in ASSETS if told[asset] != "_"}
        worths = {"BTC": self.totals["BTC"] * self.scale * poll.price} if "BTC" in amounts and poll.price else {}
        shot = Snapshot(
            observed_at=self.now,
            as_of=None if poll.lag is None else self.now - minutes(poll.lag),
            amounts=amounts,
            usd=worths,
            missing=tuple(asset for asset in ASSETS if asset not in amounts),
        )
        if not self.ledger:
            return Answer(shot)
        if poll.gap:
            return Answer(shot, events=(), ledgers=STREAM, gap="more rows than can be read")
        rows = tuple(row for delay, row in self.owed if delay <= 0)
        self.owed = [(delay - 1, row) for delay, row in self.owed if delay > 0]
        return Answer(shot, events=rows, ledgers=STREAM)

    def _measures(self, asset: str, locked: int) -> Mapping[str, Decimal]:
        held = Decimal(locked) if asset == "USDT" else Decimal(0)
        total = self.totals[asset]
        said = {"total": total, "available": total - held, "locked": held}
        return {measure: amount * self.scale for measure, amount in said.items()}


def again(reading: Answer | Outage) -> Answer | Outage:
    """What a poll would say that is made at once after another: the same, and no movement is new any more."""
    return reading._replace(events=()) if isinstance(reading, Answer) and reading.events else reading


#: Below, at and above the thresholds, and nothing at all; most polls find nothing new.
WORDS = st.sampled_from(["same", "same", "same", "0", "15", "20", "40", "50", "55", "60", "70", "97", "130", "_"])
#: Some of them add up to just less than a window.
WAITS = st.sampled_from(
    [minutes(1), minutes(1), minutes(1), seconds(1), seconds(20), seconds(55), minutes(3), minutes(20), minutes(180)]
)
MOVES = st.builds(
    Moved,
    asset=st.sampled_from(ASSETS),
    amount=st.integers(-45, 45).filter(bool),
    kind=st.sampled_from(["withdraw", "withdraw", "deposit", "fee", "market_liquidation"]),
    delay=st.sampled_from([0, 0, 0, 1, 3]),
    age=st.sampled_from([0, 0, 0, 2, 7, 30]),
)
SELDOM = st.sampled_from([False, False, False, False, False, True])


def polls(**given: st.SearchStrategy) -> st.SearchStrategy[Poll]:
    """Polls of all sorts, but for what is `given`."""
    sorts = {
        "wait": WAITS,
        "words": st.tuples(WORDS, WORDS),
        "moved": st.lists(MOVES, max_size=2).map(tuple),
        "locked": st.sampled_from([0, 0, 0, 5, 30]),
        "price": st.sampled_from([2, 2, 2, 1, 3, None]),
        "lag": st.sampled_from([None, None, None, None, 0, 4, 30]),
        "failed": SELDOM,
        "gap": SELDOM,
    }
    return st.builds(Poll, **{**sorts, **given})


def lives(most: int = 14, **given: st.SearchStrategy) -> st.SearchStrategy[Life]:
    """Lives of up to so many polls, of accounts with and without a ledger."""
    return st.builds(Life, st.lists(polls(**given), min_size=1, max_size=most), st.booleans())


#: How alerts live: what every level rule may say besides its thresholds.
WAYS = st.fixed_dictionaries(
    {
        "for_": st.sampled_from(["0s", "0s", "1m", "4m"]),
        "keep_firing_for": st.sampled_from(["0s", "0s", "2m"]),
        "flap": st.sampled_from([{"max": 1, "within": "10m"}, {"max": 6, "within": "10m"}, {"max": 100}]),
        "on_no_data": st.sampled_from(["keep_state", "keep_state", "fire", "resolve"]),
    }
)
PLAIN: Mapping[str, object] = {}


def levels(key, mild, bad, back=None, **recovery):
    """`levels` of a rule: a milder and a worse threshold, `back` the key of where each is good again."""
    said = {"warning": {key: mild}, "critical": {key: bad}}
    for severity, at in zip(said, recovery.get("at", ()), strict=False):
        said[severity][back] = at
    return {"levels": said}


def catalogue(ways: Mapping[str, object] = PLAIN, scale: Decimal = _ONE, strict: Decimal = _ONE) -> tuple:
    """A rule of every type that judges an account, most of them twice.

    `ways` are given to all that can have them. `scale` multiplies amounts; with `strict` above 1 each rule is
    breached sooner by so much.
    """
    whole = {key: value for key, value in ways.items() if key != "on_no_data"}

    def under(amount: int) -> str:
        return f"{amount * scale * strict:f}"

    def over(amount: int) -> str:
        return f"{amount * scale / strict:f}"

    def share(percent):
        return f"{percent / strict:f}%"

    return (
        rule("low_balance", alert="Low", below=under(50), resolve_above=under(60), **ways),
        rule(
            "low_balance", alert="Levels", measure="total",
            **levels("below", under(80), under(20), "resolve_above", at=(under(96), under(40))), **ways,
        ),
        rule("low_balance", alert="LowUsd", unit="usd", below=under(100), resolve_above=under(120), **ways),
        rule("low_balance", alert="LowSum", below=under(150), aggregate={"by": ["account"], "unit": "usd"}, **whole),
        rule(
            "high_balance", alert="High", renotify_every="25%",
            **levels("above", over(60), over(90), "resolve_below", at=(over(50), over(70))), **ways,
        ),
        rule("high_balance", alert="HighUsd", unit="usd", above=over(150), **ways),
        rule("locked_funds", alert="Locked", above=over(4), **ways),
        rule("large_outflow", alert="Out", above=over(20)),
        rule("large_outflow", alert="OutWithin", above=over(40), within="5m", **ways),
        rule("large_outflow", alert="OutShare", above=share(60), within="30m", **ways),
        rule("large_inflow", alert="NetIn", above=over(30), within="10m", net=True, unit="usd", **ways),
        rule("liquidation", alert="Liquidated"),
        rule("event", alert="Fee", kinds=["fee"], above=over(10)),
        rule("balance_change", alert="Fell", within="10m", **levels("falls_by", share(30), share(70)), **ways),
        rule("balance_change", alert="RoseUsd", rises_by=over(60), unit="usd", within="4h", **ways),
        rule("unexplained_change", alert="Odd", within="30m", **levels("above", over(5), over(40)), **ways),
        rule("unexplained_change", alert="OddUsd", unit="usd", above=over(20), **ways),
        rule(
            "runway", alert="Runs", below=f"{10 * strict:f}m", floor=under(15), history="1h", min_history="3m", **ways
        ),
        rule("stale", alert="Stale", after="3m", **whole),
        rule("expression", alert="Share", expression=f"available < {under(40)} and locked >= 0", **ways),
        rule("expression", alert="Jump", expression=f"total > previous.total + {over(30)}", **ways),
    )  # fmt: skip


RULES = catalogue()
#: Rules that say the same whenever they are asked about the same amounts: no window, no reading before.
LEVEL = ("Low", "Levels", "LowUsd", "LowSum", "High", "HighUsd", "Locked", "Share")


def named(rules, names):
    return tuple(each for each in rules if each.alert in names)


def world(scale: Decimal = _ONE):
    """What decides besides the rules: USDT is a dollar, BTC what the provider says, and some outflow is expected."""
    payroll = {"name": "payroll", "account": "hot-usdt", "asset": "USDT", "up_to": 10 * scale, "active": ["always"]}
    expected = by_account([ExpectedTransfer.model_validate(payroll)], {"always": [TimeInterval()]})
    return policy(prices={"USDT": _ONE}, expected=expected)


def watched(rules=RULES, scale: Decimal = _ONE):
    """An account whose life is about to begin."""
    return Watched(rules, account(assets=ASSETS), world(scale))
