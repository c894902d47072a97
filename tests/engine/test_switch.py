"""What a process knows of the switch: of late, or it says that it does not know."""

import asyncio

import pytest

from monitor.engine.switch import TRUSTED_FOR, Bankroll, Switchboard
from monitor.errors import StoreUnavailable
from monitor.guard.hold import Switch
from tests.builders import minutes, seconds
from tests.fakes import FakeClock
from tests.guard.asks import amount, terms


class Store:
    """The switch in memory; `away` makes it answer nothing, `slow` makes a question wait for that event."""

    def __init__(self):
        self.state, self.solvency, self.away, self.slow = Switch(), "solvent", False, None

    async def switch(self):
        if self.away:
            raise StoreUnavailable("gone")
        found, slow = self.state, self.slow
        if slow is not None:
            self.slow = None
            await slow.wait()
        return found

    async def close_guard(self, switch):
        self.state = switch

    async def open_guard(self):
        self.state = Switch()

    async def bankroll(self, *_):
        return self.solvency, None


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def board(store):
    house = Bankroll("hot", "USDT", amount("80000"), amount("100000"))
    return Switchboard(store, FakeClock(), terms(), minutes(3), house)


async def closed(board):
    return await board.closed(board.clock())


async def test_before_it_has_heard_anything_it_knows_nothing(board, store):
    store.away = True
    with pytest.raises(StoreUnavailable):
        await closed(board)


async def test_an_open_guard_is_open_until_it_was_heard_too_long_ago(board, store):
    await board.refresh()
    store.away = True
    assert await closed(board) is None

    board.clock.pass_(TRUSTED_FOR)
    assert await closed(board) is None
    board.clock.pass_(seconds(0.001))
    with pytest.raises(StoreUnavailable):
        await closed(board)


async def test_a_store_that_does_not_answer_leaves_what_was_heard_to_grow_old(board, store):
    await board.refresh()
    store.away = True
    for _ in range(5):
        board.clock.pass_(seconds(0.5))
        with pytest.raises(StoreUnavailable):
            await board.refresh()

    with pytest.raises(StoreUnavailable):
        await closed(board)


async def test_after_a_pause_of_the_process_the_store_is_asked_first(board, store):
    await board.refresh()
    await store.close_guard(Switch(board.clock(), "audit", "maria"))
    board.clock.pass_(minutes(1))

    assert await closed(board) == "closed by maria: audit"


async def test_a_clock_that_was_set_back_makes_it_ask_again(board, store):
    await board.refresh()
    store.away = True
    board.clock.pass_(-minutes(60))

    with pytest.raises(StoreUnavailable):
        await closed(board)


async def test_whoever_throws_the_switch_sees_it_at_once(board):
    await board.refresh()

    switch = await board.close("audit", "maria")
    assert (switch.comment, switch.author, switch.since) == ("audit", "maria", board.clock())
    assert await closed(board) == "closed by maria: audit"
    await board.open()
    assert await closed(board) is None


async def test_what_was_asked_before_a_close_and_heard_after_it_does_not_count(board, store):
    store.slow = gate = asyncio.Event()
    before = asyncio.create_task(board.refresh())
    while store.slow is not None:
        await asyncio.sleep(0)

    await board.close("audit", "maria")
    gate.set()
    await before

    assert await closed(board) == "closed by maria: audit"


async def test_both_causes_are_told_and_one_that_is_left_keeps_it_closed(board, store):
    store.solvency = "low"
    await board.close("audit", "maria")
    assert await closed(board) == (
        "closed by maria: audit; the bankroll, USDT of hot, fell below 80000; it opens again at 100000"
    )

    await board.open()
    assert await closed(board) == "the bankroll, USDT of hot, fell below 80000; it opens again at 100000"


async def test_a_bankroll_that_nobody_knows_closes_it(board, store):
    store.solvency = "unknown"
    await board.refresh()

    assert await closed(board) == "nothing is known of the bankroll, or nothing new: USDT of hot"


async def test_without_a_bankroll_only_an_operator_closes_it(board, store):
    board.house, store.solvency = None, "low"
    await board.refresh()

    assert await closed(board) is None
