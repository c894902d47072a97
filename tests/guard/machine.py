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
THEN = (None, None, None, "commit", "commit", "commit", "settle", "release")
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

by_one = st.sampled_from((0, 0, -1, 1))
small = st.integers(0, 60).map(lambda ten: ten * 10**18)
amounts = small | st.sampled_from([one for one in LIMBS if one <= units.MAX]) | st.integers(0, units.MAX)
optional = st.none() | amounts
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
        watched=st.booleans(),
    )
    def configured(self, delay, lag, most, locked, balances, watched):
        self.watched = watched
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

    @rule(
        data=st.data(),
        ttl=st.sampled_from((1, 30, 30, 900)),
        part=st.sampled_from((1, 3, 5, 9)),
        then=st.sampled_from(THEN),
    )
    def bet(self, data, ttl, part, then):
        """What the wallet has, or a part of it, where it is known; and maybe what follows from it at once."""
        known = [key for key in WALLETS if (wallet := self.wallet(*key)) and wallet.balance.spendable]
        if known:
            account, asset = data.draw(st.sampled_from(known))
            amount = -(-self.wallet(account, asset).balance.spendable // part)
            question = self.question(account, asset, amount)
            self.bets += 1
            question = question._replace(hold=f"bet-{self.bets}", ttl=seconds(ttl))
            verdict = self.both("hold", question, self.terms)
            self.names.append((question.caller, question.hold))
            if verdict.allowed:
                self.admitted(verdict, question, reserved=True)
            if then:
                self.ended(question.caller, question.hold, then, data.draw(st.sampled_from((None, amount // 3))))

    def wallet(self, account, asset):
        return self.wait(self.model.wallet(account, asset, self.terms))

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

    @precondition(lambda self: self.of("held", "committed", "expired"))
    @rule(data=st.data(), ending=st.sampled_from(("commit", "commit", "settle", "release")), by=by_one)
    def end(self, data, ending, by):
        """What was bet is committed as it was, a little less, or more than that; or ended another way."""
        caller, hold = data.draw(st.sampled_from(self.of("held", "committed", "expired")))
        amount = min(units.MAX, max(0, self.states[caller, hold][1].amount + by))
        self.ended(caller, hold, ending, amount)

    @rule(hold=holds, caller=callers, ending=st.sampled_from(("commit", "settle", "release")), amount=optional)
    def end_any(self, hold, caller, ending, amount):
        self.ended(caller, hold, ending, amount)

    def ended(self, caller, hold, ending, amount):
        """I5: a release repeats safely, and is refused only after a commit. I6: a commit is not more than was held."""
        if ending == "commit":
            told: Resolution = self.both("commit_hold", caller, hold, amount, self.terms)
            assert told.outcome != "done" or told.hold.committed == (told.hold.amount if amount is None else amount)
            assert told.outcome != "done" or told.hold.committed <= told.hold.amount
        elif ending == "settle":
            self.both("settle_hold", caller, hold, self.terms)
        else:
            told = self.both("release_hold", caller, hold, self.terms)
            taken = told.hold.state in {"committed", "settled", "covered"}
            assert told.outcome == ("hold-already-committed" if taken else "done")

    @rule(data=st.data(), reason=st.sampled_from(("BANKROLL_INSUFFICIENT", "HOLD_TOMBSTONED")), ours=st.booleans())
    def refuse(self, data, reason, ours):
        caller, hold = data.draw(st.sampled_from(self.names))
        known = self.states.get((caller, hold))
        decision = known[1].decision if known and ours else "dec_other"
        self.both("refuse_hold", caller, hold, decision, self.terms, reason)

    @rule(
        account=accounts,
        asset=st.sampled_from(ASSETS),
        source=st.sampled_from(("aml", "self exclusion")),
        for_=st.sampled_from((None, -1, 0, 31, "unlock", "unlock")),
    )
    def lock(self, account, asset, source, for_):
        """I11, with all that is ended while locked."""
        if for_ == "unlock":
            self.both("unlock", account, asset, source)
        else:
            self.both("lock", account, asset, Lock(source, None if for_ is None else self.clock() + seconds(for_)))

    @rule(data=st.data(), time=st.sampled_from(STEPS), by=near, to=st.booleans())
    def time_passes(self, data, time, by, to):
        """By so much; or to about when a hold expires."""
        if to and self.of("held"):
            hold = self.states[data.draw(st.sampled_from(self.of("held")))][1]
            self.clock.now = max(self.clock.now, hold.expires_at + by)
        else:
            self.clock.pass_(time)

    # What always holds.

    @precondition(lambda self: self.watched)
    @invariant()
    def wallets_are_the_same_and_add_up(self):
        self.look()

    def teardown(self):
        if hasattr(self, "terms"):
            self.look()

    @rule(tended=st.booleans())
    def look_round(self, tended):
        if tended:
            self.wait(self.tested.tend(self.terms))
        self.look()

    def look(self):
        """I2 and I8, and with them I9: nothing but a reading changes what was seen, and readings only get newer.

        Whoever looks gives back what has expired; so in half of all runs nobody looks without being told to.
        """
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
    if isinstance(told, Verdict) and told.replayed and told.balance:
        # It is told as it was last counted.
        return told._replace(balance=told.balance._replace(held=0, unsettled=0))
    return told
