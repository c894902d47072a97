"""Anything that callers, providers and operators may do to the guard, in any order: to the model and to a store alike.

Every answer and every wallet must be the same, and what must always hold (I1 to I14 of the specification) is asked of
the store's own answers, so that a mistake the model shares is found too.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Protocol

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from monitor.engine.guardports import GuardStore
from monitor.guard import units
from monitor.guard.hold import Ask, Hold, Lock, Resolution, Terms, Verdict
from monitor.model.feed import Fed
from tests.builders import seconds
from tests.fakes import FakeClock
from tests.guard.model import ModelGuard

ACCOUNTS, ASSETS = ("player-7", "vip:8 ß"), ("USDT@TRX", "USDT@ETH", "BTC")
WALLETS = [(account, asset) for account in ACCOUNTS for asset in ASSETS]
TICK = timedelta(microseconds=1)
#: Where something ends or begins: the lag, the delay, both, a ttl, the age of facts. And one tick around it.
STEPS = [TICK, *(seconds(whole) + by for whole in (1, 2, 10, 12, 30, 150) for by in (-TICK, TICK * 0, TICK))]
#: Around the borders of the three limbs of fifteen digits that amounts are counted in.
LIMBS = [max(0, 10**at + by) for at in (15, 30, 44, 45) for by in (-2, -1, 0, 1)]
#: How far states have come; they never go back.
FORWARD = {
    "held": 0, "committed": 1, "settled": 2, "covered": 3, "released": 9, "expired": 9, "denied": 9, "tombstone": 9,
}  # fmt: skip

small = st.integers(0, 60).map(lambda ten: ten * 10**18)
amounts = small | st.sampled_from([one for one in LIMBS if one <= units.MAX]) | st.integers(0, units.MAX)
rich, near = st.integers(1, 1000).map(lambda whole: whole * 10**18), st.sampled_from((-TICK, 0 * TICK, TICK))
accounts, holds = st.sampled_from(ACCOUNTS), st.sampled_from("abc")
assets = st.sampled_from((*ASSETS, "USDT", "BTC", "DOGE"))
callers = st.sampled_from(("casino", "casino", "casino", "other"))


class Tested(Protocol):
    """A store under test, on the clock it was opened with."""

    guard: GuardStore

    async def feed(self, account: str, assets: Mapping[str, Fed], fence: datetime) -> None:
        """A poll that began now has told this; the provider's own time, which is trusted, is `fence`."""
        ...

    async def tend(self, terms: Terms) -> None:
        """The janitor goes round all partitions."""
        ...


class GuardMachine(RuleBasedStateMachine):
    """`opened` gives the store under test, empty; `runner` is the loop it lives in."""

    runner: ClassVar[asyncio.Runner]
    opened: ClassVar[Callable[[FakeClock], Coroutine[Any, Any, Tested]]]

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.model = ModelGuard(self.clock)
        self.tested = self.wait(type(self).opened(self.clock))
        self.bets = 0
        self.names = [(caller, hold) for caller in ("casino", "other") for hold in "abc"]
        self.states: dict[tuple[str, str], tuple[int, Hold]] = {}
        self.fences: dict[tuple[str, str], datetime] = {}
        self.seen: dict[tuple[str, str], int] = {}

    def wait(self, coming: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(coming)

    def both(self, call: str, *args: Any) -> Any:
        """The same call to both: the same answer."""
        expected, told = (self.wait(getattr(one, call)(*args)) for one in (self.model, self.tested.guard))
        same(f"{call}{args}", plain(told), plain(expected))
        return told

    @initialize(
        delay=st.sampled_from((10, 0, None)),
        lag=st.sampled_from((2, 0)),
        most=st.sampled_from((50, 1)),
        locked=st.sampled_from(("subtract", "deny")),
        balances=st.tuples(rich, st.dictionaries(st.sampled_from(ACCOUNTS), rich)),
    )
    def configured(self, delay, lag, most, locked, balances):
        posting_delay = None if delay is None else seconds(delay)
        self.terms = Terms(posting_delay, seconds(lag), seconds(86_400), seconds(900), most, locked)
        self.tell(ACCOUNTS[0], {ASSETS[0]: fed(balances[0], 0)}, self.clock() - 2 * TICK)
        for account, balance in balances[1].items():
            self.tell(account, {ASSETS[1]: fed(balance, 0)}, self.clock() - TICK)

    def tell(self, account, told, fence):
        self.model.feed(account, told, fence)
        self.wait(self.tested.feed(account, told, fence))
        self.seen = {}

    # What happens.

    @rule(
        account=accounts,
        balances=st.dictionaries(st.sampled_from(ASSETS), st.tuples(amounts, st.just(0) | small), min_size=1),
        ago=st.sampled_from((timedelta(0), timedelta(0), TICK, seconds(1), seconds(13), seconds(100))),
    )
    def read(self, account, balances, ago):
        self.tell(account, {name: fed(*balance) for name, balance in balances.items()}, self.clock() - ago)

    def of(self, *states):
        """The holds that are so far."""
        return sorted(key for key, (_, hold) in self.states.items() if hold.state in states)

    @precondition(lambda self: self.of("committed", "settled", "expired"))
    @rule(data=st.data(), by=near, balance=rich, late=st.sampled_from((TICK * 0, TICK, seconds(5))))
    def read_about_when_it_is_booked(self, data, by, balance, late):
        """A reading that began just when it covers a debit, or a tick before."""
        hold = self.states[data.draw(st.sampled_from(self.of("committed", "settled", "expired")))][1]
        if hold.posted_at is not None:
            fence = hold.posted_at + self.terms.read_lag + by
            self.clock.now = max(self.clock.now, fence + late)
            self.tell(hold.account, {hold.asset: fed(balance, 0)}, fence)

    @rule(data=st.data(), ttl=st.sampled_from((1, 30, 30, 900)), part=st.sampled_from((1, 3, 5, 9)))
    def bet(self, data, ttl, part):
        """What the wallet has, or a part of it, where it is known."""
        known = [key for key in WALLETS if (wallet := self.wallet(*key)) and wallet.balance.spendable]
        if known:
            account, asset = data.draw(st.sampled_from(known))
            amount = -(-self.wallet(account, asset).balance.spendable // part)
            question = self.question(account, asset, amount)
            self.bets += 1
            question = question._replace(hold=f"bet-{self.bets}", ttl=seconds(ttl))
            verdict = self.both("hold", question, self.terms)
            self.names.append((question.caller, question.hold))
            if verdict.allowed and not verdict.replayed:
                self.admitted(verdict, question, reserved=True)

    def wallet(self, account, asset):
        return self.wait(self.model.wallet(account, asset, self.terms))

    @precondition(lambda self: self.of("held"))
    @rule(data=st.data(), by=near)
    def time_passes_to_a_deadline(self, data, by):
        hold = self.states[data.draw(st.sampled_from(self.of("held")))][1]
        self.clock.now = max(self.clock.now, hold.expires_at + by)

    @rule(
        account=accounts,
        asset=assets,
        hold=holds,
        caller=callers,
        amount=amounts,
        ttl=st.sampled_from((1, 30, 900)),
        max_age=st.sampled_from((150, 150, 1)),
        early=st.sampled_from((None,) * 6 + ("SESSION_EXPIRED", "GUARD_CLOSED", "AMOUNT_ABOVE_MAX")),
        declared=st.booleans(),
        only=st.sampled_from((False, False, False, True)),
    )
    def ask(self, account, asset, hold, caller, amount, ttl, max_age, early, declared, only):
        decimals = 18 if amount % 10**18 else 2
        ask = Ask(
            caller, "" if only else hold, account, asset, amount, decimals, seconds(ttl), seconds(max_age),
            f"dec_{self.clock().microsecond}", early, declared,
        )  # fmt: skip
        verdict: Verdict = self.both("check" if only else "hold", ask, self.terms)
        if verdict.allowed and not verdict.replayed:
            self.admitted(verdict, ask, reserved=not only)

    def admitted(self, verdict, ask, *, reserved):
        """I1, I10: there was enough, it was seen lately enough, and by nobody's guess."""
        balance = verdict.balance
        taken = balance.held + balance.unsettled + (0 if reserved else ask.amount)
        assert taken <= balance.last_seen - balance.locked
        assert verdict.now - balance.as_of <= ask.max_age
        assert ask.early is None

    @rule(data=st.data(), account=accounts, asset=st.sampled_from(ASSETS))
    def probe(self, data, account, asset):
        """I12: what may be spent may be spent to the last unit and not a unit beyond, and any less of it too."""
        wallet = self.wait(self.tested.guard.wallet(account, asset, self.terms))
        if wallet is None:
            return
        edge = wallet.balance.spendable
        less = data.draw(st.integers(0, edge))
        reasons = [
            self.both("check", self.question(account, asset, amount), self.terms).reason
            for amount in (less, edge, min(units.MAX, edge + 1))
        ]
        assert reasons[0] == reasons[1]
        assert reasons[1] != "INSUFFICIENT_FUNDS" or wallet.balance.spendable == 0
        assert reasons[2] != "OK" or edge == units.MAX

    def question(self, account, asset, amount):
        return Ask("casino", "", account, asset, amount, 18, seconds(30), seconds(900), "dec_probe")

    @rule(hold=holds, caller=callers, amount=st.none() | amounts)
    def commit(self, hold, caller, amount):
        self.both("commit_hold", caller, hold, amount, self.terms)

    @precondition(lambda self: self.of("held", "expired"))
    @rule(data=st.data(), by=st.sampled_from((-1, 0, 0, 1)))
    def commit_about_as_much(self, data, by):
        """I6: what was held, a little less, or more than that."""
        caller, hold = data.draw(st.sampled_from(self.of("held", "expired")))
        held = self.states[caller, hold][1]
        final = min(units.MAX, max(0, held.amount + by))
        told: Resolution = self.both("commit_hold", caller, hold, final, self.terms)
        if told.outcome == "done":
            assert told.hold.committed == final <= held.amount

    @precondition(lambda self: self.of("held", "expired", "committed"))
    @rule(data=st.data())
    def settle_one(self, data):
        self.settle(*reversed(data.draw(st.sampled_from(self.of("held", "expired", "committed")))))

    @rule(hold=holds, caller=callers)
    def settle(self, hold, caller):
        self.both("settle_hold", caller, hold, self.terms)

    @rule(hold=holds, caller=callers)
    def release(self, hold, caller):
        """I5: repeats safely, and is refused only after a commit."""
        told = self.both("release_hold", caller, hold, self.terms)
        assert told.outcome in {"done", "hold-already-committed"}
        assert (told.outcome == "done") == (told.hold.state not in {"committed", "settled", "covered"})

    @rule(
        hold=holds,
        caller=callers,
        reason=st.sampled_from(("BANKROLL_INSUFFICIENT", "HOLD_TOMBSTONED")),
        ours=st.booleans(),
    )
    def refuse(self, hold, caller, reason, ours):
        known = self.states.get((caller, hold))
        decision = known[1].decision if known and ours else "dec_other"
        self.both("refuse_hold", caller, hold, decision, self.terms, reason)

    @rule(
        account=accounts,
        asset=st.sampled_from(ASSETS),
        source=st.sampled_from(("aml", "self exclusion")),
        for_=st.none() | st.sampled_from((-1, 0, 1, 31)),
    )
    def lock(self, account, asset, source, for_):
        until = None if for_ is None else self.clock() + seconds(for_)
        self.both("lock", account, asset, Lock(source, until))

    @rule(account=accounts, asset=st.sampled_from(ASSETS), source=st.sampled_from(("aml", "self exclusion")))
    def unlock(self, account, asset, source):
        self.both("unlock", account, asset, source)

    @rule(time=st.sampled_from(STEPS))
    def time_passes(self, time):
        self.clock.pass_(time)

    @rule()
    def janitor(self):
        self.wait(self.tested.tend(self.terms))

    # What always holds.

    @invariant()
    def wallets_are_the_same_and_add_up(self):
        """I2 and I8, and with them I9: nothing but a reading changes what was seen, and readings only get newer."""
        for key, wallet in self.all("wallet", WALLETS):
            if wallet is None:
                continue
            balance = wallet.balance
            assert balance.held == sum(one.amount for one in wallet.holds)
            assert balance.unsettled == sum(one.amount for one in wallet.debits)
            assert balance.spendable >= 0
            assert balance.as_of >= self.fences.get(key, balance.as_of)
            assert balance.last_seen == self.seen.get(key, balance.last_seen)
            self.fences[key], self.seen[key] = balance.as_of, balance.last_seen

    @invariant()
    def states_only_move_forward(self):
        """I3 and I7."""
        for key, (hold, now) in self.all("find_hold", self.names):
            if hold is None:
                assert key not in self.states
                continue
            rank, before = self.states.get(key, (0, hold))
            assert FORWARD[hold.state] >= rank
            assert before.state == hold.state or rank < 9
            assert hold.state != "expired" or now >= hold.expires_at
            assert hold.state != "held" or now < hold.expires_at
            self.states[key] = FORWARD[hold.state], hold

    def all(self, call, keys):
        """The same of both, for each of these."""
        expected, told = (
            [*self.wait(gathered(one, call, keys, self.terms))] for one in (self.model, self.tested.guard)
        )
        for key, theirs, ours in zip(keys, told, expected, strict=True):
            same(f"{call}{key}", plain(theirs), plain(ours))
        return zip(keys, told, strict=True)


async def gathered(guard, call, keys, terms):
    return await asyncio.gather(*(getattr(guard, call)(*key, terms) for key in keys))


def fed(available: int, locked: int) -> Fed:
    return Fed(Decimal(units.text(available)), Decimal(units.text(locked)))


def same(call: str, told: Any, expected: Any) -> None:
    assert told == expected, f"{call}\nis answered {told}\nand should be {expected}"


def plain(told: Any) -> Any:
    """An answer without what a store may count as it likes: versions, the tokens of its polls, the order of lists."""
    if isinstance(told, tuple) and hasattr(told, "debits"):
        debits = tuple(sorted(told.debits, key=lambda one: (one.caller, one.hold)))
        holds_ = tuple(sorted(told.holds, key=lambda one: (one.caller, one.id)))
        return told._replace(version=0, token=0, debits=debits, holds=holds_)
    if isinstance(told, Verdict) and told.reused:
        # Nothing happened, and nobody is told why.
        return told.reused, told.now
    return told
