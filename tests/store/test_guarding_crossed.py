"""A bet and its rollback cross on the way, and processes die in between: the index of ids is in another place than the
wallet, so their halves run in any order."""

import asyncio
import contextlib
import itertools

import pytest

from monitor.store.guardkeys import index
from tests.builders import minutes
from tests.fused import Fused, PowerCut
from tests.guard.asks import amount, ask, fed, terms
from tests.guard.readings import reads

TERMS = terms()


class Gated:
    """Guard calls, of which each half waits until it is let through."""

    def __init__(self, calls):
        self._calls, self.close = calls, calls.close
        self.waiting = {}

    async def command(self, *command):
        place = "index" if index("casino", "bet-1") in command else "wallet"
        gate = self.waiting.setdefault(place, asyncio.Event())
        await gate.wait()
        del self.waiting[place]
        return await self._calls.command(*command)

    async def together(self, *commands):
        return await asyncio.gather(*(self.command(*command) for command in commands))


async def let(gated, place):
    """That half of a call runs now, if there is one."""
    for _ in range(5):
        await asyncio.sleep(0)
    if gate := gated.waiting.get(place):
        gate.set()
        await asyncio.sleep(0.002)


HALVES = tuple(itertools.product(("put", "release"), ("index", "wallet")))


def named(order):
    return " ".join(f"{who[0]}-{place}" for who, place in order)


@pytest.mark.parametrize("order", list(itertools.permutations(HALVES)), ids=named)
async def test_in_whatever_order_a_bet_and_its_rollback_run_the_money_comes_back(open_store, order):
    stores = {who: await open_store() for who in ("put", "release")}
    await reads(stores["put"], {"USDT": fed("100")})
    gates = {who: Gated(store._guard_calls) for who, store in stores.items()}
    for who, gated in gates.items():
        stores[who]._guard_calls = gated

    put = asyncio.create_task(stores["put"].hold(ask("60"), TERMS))
    release = asyncio.create_task(stores["release"].release_hold("casino", "bet-1", TERMS))
    for who, place in order:
        await let(gates[who], place)
    while not (put.done() and release.done()):
        for who, place in HALVES:
            await let(gates[who], place)

    other = await open_store()
    assert (await release).outcome == "done"
    assert (await put).reason in ("OK", "HOLD_TOMBSTONED")
    assert (await other.check(ask("100"), TERMS)).allowed, "the money is free"
    assert (await other.hold(ask("60"), TERMS)).reason == "HOLD_TOMBSTONED"
    assert (await other.commit_hold("casino", "bet-1", None, TERMS)).outcome == "hold-already-released"


class Mortal:
    """Guard calls, each half of which may be the last thing that their process does: `blow` counts before and after."""

    def __init__(self, calls, blow):
        self._calls, self.close = calls, calls.close
        self._fused, self.died = Fused(calls, itertools.count(), blow), False

    async def command(self, *command):
        try:
            return await self._fused.command(*command)
        except PowerCut:
            self.died = True
            raise

    async def together(self, *commands):
        return [await self.command(*command) for command in commands]

    async def backwards(self, *commands):
        """The other half first: they are on their way to two places."""
        return [await self.command(*command) for command in reversed(commands)][::-1]


async def lives(open_store, blow, turn):
    """A store on which a process dies at that point, what it says before, and a store of another process."""
    mortal, other = await open_store(), await open_store()
    await other._calls.command("FLUSHALL")
    await other.open(4)
    await reads(other, {"USDT": fed("100")})
    mortal._guard_calls = Mortal(mortal._guard_calls, blow)
    mortal._guard_calls.together = getattr(mortal._guard_calls, turn)
    return mortal, other


BET = (
    lambda store: store.hold(ask("60"), TERMS),
    lambda store: store.commit_hold("casino", "bet-1", amount("50"), TERMS),
    lambda store: store.settle_hold("casino", "bet-1", TERMS),
)
BACK = (BET[0], lambda store: store.release_hold("casino", "bet-1", TERMS))


@pytest.mark.parametrize("turn", ["together", "backwards"])
async def test_wherever_a_process_dies_a_bet_that_is_repeated_is_one_bet(open_store, turn):
    for blow in itertools.count():
        mortal, other = await lives(open_store, blow, turn)
        process, said = mortal, []
        for call in BET:
            try:
                said.append(await call(process))
            except PowerCut:
                process = other
                said.append(await call(other))

        left = (await other.check(ask(), TERMS)).balance
        assert [said[0].reason, said[1].outcome, said[2].outcome] == ["OK", "done", "done"], blow
        assert (left.held, left.unsettled, left.spendable) == (0, amount("50"), amount("50")), blow
        if not mortal._guard_calls.died:
            break
    assert blow == 12, "each half of three calls, before and after"


@pytest.mark.parametrize("turn", ["together", "backwards"])
async def test_wherever_a_process_dies_in_a_bet_that_nobody_repeats_the_money_comes_back(open_store, clock, turn):
    for blow in itertools.count():
        mortal, other = await lives(open_store, blow, turn)
        try:
            for call in BACK:
                await call(mortal)
        except PowerCut:
            clock.pass_(minutes(1))
            await reads(other, {"USDT": fed("100")})

        assert (await other.check(ask("100"), TERMS)).allowed, blow
        if not mortal._guard_calls.died:
            break
    assert blow == 8


@pytest.mark.parametrize("turn", ["together", "backwards"])
async def test_wherever_a_rollback_dies_and_is_repeated_the_bet_is_refused(open_store, turn):
    for blow in itertools.count():
        mortal, other = await lives(open_store, blow, turn)
        with contextlib.suppress(PowerCut):
            await BACK[1](mortal)
        assert (await BACK[1](other)).outcome == "done"
        assert (await other.hold(ask("60"), TERMS)).reason == "HOLD_TOMBSTONED"
        if not mortal._guard_calls.died:
            break
    assert blow == 2
