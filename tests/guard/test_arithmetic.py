"""The store counts as Python's integers do, at any scale, and each wallet for itself."""

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from monitor.guard import units
from monitor.guard.hold import Ask
from tests.builders import seconds
from tests.fakes import FakeClock
from tests.guard.asks import terms
from tests.guard.machine import LIMBS, fed

TERMS = terms()
EXAMPLES = 20
SIDE = "player-8"

edges = st.sampled_from([one for one in LIMBS if one <= units.MAX]) | st.integers(0, units.MAX)
#: What a bettor does: hold so many thousands, then maybe commit so many thousandths of them.
bets = st.lists(st.tuples(st.integers(1, 400), st.sampled_from((None, None, 0, 1, 500, 999, 1000))), max_size=8)
#: In the same way with several things that change the wallet.
deeds = st.lists(
    st.tuples(
        st.sampled_from(("hold", "commit", "settle", "release", "read")), st.sampled_from("abc"), st.integers(1, 60)
    ),
    max_size=16,
)


def question(account, hold, amount):
    return Ask("casino", hold, account, "USDT", amount, 18, seconds(30), seconds(150), "dec_1")


def examples(count=EXAMPLES):
    return settings(max_examples=count, deadline=None, database=None)


def test_the_store_counts_as_integers_do_up_to_the_45th_digit(bench):
    """I13, with amounts around the borders of the limbs that Lua counts in."""

    @examples()
    @given(edges, st.lists(st.tuples(edges, edges), max_size=4))
    @example(units.MAX, [(units.MAX, units.MAX)])
    @example(10**30, [(10**15, 1), (10**30 - 10**15, 10**15 - 1), (1, 0)])
    @example(10**15, [(1, 1), (10**15 - 1, 10**15 - 1)])
    @example(10**31, [(10**30 - 1, 0), (1, 1)])
    def counts(seen, stakes):
        bench.runner.run(exact(seen, stakes))

    async def exact(seen, stakes):
        ground = await bench.opened(FakeClock())
        await ground.feed("player-7", {"USDT": fed(seen, 0)}, ground.store.clock_override())
        held = unsettled = 0
        fitting = []
        for at, (stake, final) in enumerate(stakes):
            verdict = await ground.guard.hold(question("player-7", f"bet-{at}", stake), TERMS)
            assert verdict.reason == ("OK" if held + stake <= seen else "INSUFFICIENT_FUNDS")
            if verdict.allowed:
                held += stake
                fitting.append((f"bet-{at}", stake, final))
            assert (verdict.balance.held, verdict.balance.unsettled) == (held, 0)
        for name, stake, final in fitting:
            told = await ground.guard.commit_hold("casino", name, final, TERMS)
            assert told.outcome == ("done" if final <= stake else "commit-exceeds-hold")
            if told.outcome == "done":
                held, unsettled = held - stake, unsettled + final
        balance = (await ground.guard.check(question("player-7", "", 0), TERMS)).balance
        assert (balance.last_seen, balance.held, balance.unsettled) == (seen, held, unsettled)
        assert balance.spendable == max(0, seen - held - unsettled)

    counts()


def test_ten_times_as_much_of_everything_is_decided_alike(bench):
    """I12: scaling all amounts by a power of ten changes no answer, and more money never refuses what less allows."""

    @examples()
    @given(bets, st.integers(1, 38), st.integers(0, 1000))
    def scaled(todo, power, more):
        bench.runner.run(alike(todo, 10**power, more))

    async def alike(todo, scale, more):
        ground = await bench.opened(FakeClock())
        plain = await played(ground, "plain", todo, 1)
        assert await played(ground, "scaled", todo, scale) == plain
        richer = await played(ground, "richer", todo, 1, more=more)
        same = plain.index("INSUFFICIENT_FUNDS") if "INSUFFICIENT_FUNDS" in plain else len(plain)
        assert richer[:same] == plain[:same]

    async def played(ground, account, todo, scale, more=0):
        """Of a thousand thousands."""
        await ground.feed(account, {"USDT": fed((1000 + more) * 1000 * scale, 0)}, ground.store.clock_override())
        told = []
        for at, (stake, part) in enumerate(todo):
            verdict = await ground.guard.hold(question(account, f"{account}-{at}", stake * 1000 * scale), TERMS)
            told.append(verdict.reason)
            if part is not None:
                final = stake * part * scale
                told.append((await ground.guard.commit_hold("casino", f"{account}-{at}", final, TERMS)).outcome)
        return told

    scaled()


def test_wallets_do_not_see_each_other(bench):
    """I14: what two players do in turns, and what each does alone, come to the same."""

    @examples()
    @given(deeds, deeds, st.lists(st.booleans(), max_size=32))
    def apart(one, other, turns):
        assume(one and other)
        bench.runner.run(alike(one, other, turns))

    async def alike(one, other, turns):
        alone = [await played([("player-7", deed) for deed in one]), await played([(SIDE, deed) for deed in other])]
        rest, mixed = {"player-7": list(one), SIDE: list(other)}, []
        for first in [*turns, *[True] * len(one), *[False] * len(other)]:
            account = "player-7" if first else SIDE
            if rest[account]:
                mixed.append((account, rest[account].pop(0)))
        together = await played(mixed)
        assert {**alone[0], **alone[1]} == together

    async def played(todo):
        ground, told = await bench.opened(FakeClock()), {}
        for account in dict.fromkeys(account for account, _ in todo):
            await ground.feed(account, {"USDT": fed(100, 0)}, ground.store.clock_override())
        for account, deed in todo:
            told.setdefault(account, []).append(await done(ground, account, *deed))
        for account, answers in told.items():
            answers.append((await ground.guard.check(question(account, "", 0), TERMS)).balance)
        return told

    async def done(ground, account, deed, name, amount):
        hold = f"{account}-{name}"
        if deed == "read":
            await ground.feed(account, {"USDT": fed(100 + amount, 0)}, ground.store.clock_override())
            return None
        if deed == "hold":
            return (await ground.guard.hold(question(account, hold, amount), TERMS))[:3]
        if deed == "commit":
            return (await ground.guard.commit_hold("casino", hold, amount, TERMS))[:2]
        call = ground.guard.settle_hold if deed == "settle" else ground.guard.release_hold
        return (await call("casino", hold, TERMS))[:2]

    apart()
