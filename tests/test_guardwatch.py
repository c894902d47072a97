"""What people are told of the guard: why it is closed, what may be lost, what came too late, what nobody sees."""

from datetime import timedelta

import pytest

from monitor.concerns import Concerns
from monitor.engine.guardports import Quarantine, Tended
from monitor.engine.switch import Bankroll, Switchboard
from monitor.errors import StoreUnavailable
from monitor.guard.hold import Debit, Hold
from monitor.guardwatch import LATE_TOLD, ROUND, TEND_EVERY, GuardWatch
from tests.builders import NOON, minutes, seconds
from tests.engine.test_switch import Store as Switches
from tests.guard.asks import amount, terms

QUIET = Tended((), None)


class Tending:
    """A janitor that finds what the test says, by partition."""

    def __init__(self):
        self.found, self.asked = {}, []

    async def tend(self, partition, older_than, terms):
        self.asked.append((partition, older_than))
        return self.found.get(partition, QUIET)


@pytest.fixture
def watch(clock):
    return GuardWatch(Concerns(clock, "web-1:7"), clock)


def told(watch):
    return {(report.name, report.about): report.why for report in watch.concerns._held.values()}


async def a_round(watch, store, partitions=4):
    for _ in range(ROUND // TEND_EVERY):
        await watch.tend(store, partitions, terms(), minutes(10))


def debit(hold="bet-1", value="20", posted=None):
    return Debit(hold, "casino", amount(value), NOON - minutes(20), posted)


class TestClosed:
    @pytest.fixture
    def board(self, clock):
        house = Bankroll("hot", "USDT", amount("80"), amount("100"))
        return Switchboard(Switches(), clock, terms(), minutes(3), house)

    async def test_case_58_both_ways_are_told_each_for_itself(self, watch, board):
        board.store.solvency = "low"
        await board.store.close_guard(board.store.state._replace(since=NOON, comment="audit", author="maria"))
        await watch.look(board)
        both = told(watch)
        await board.store.open_guard()
        await watch.look(board)
        one = told(watch)
        board.store.solvency = "solvent"
        await watch.look(board)

        low = "the bankroll, USDT of hot, fell below 80; it opens again at 100"
        assert both == {("GuardClosed", "operator"): "closed by maria: audit", ("GuardClosed", "bankroll"): low}
        assert one == {("GuardClosed", "bankroll"): low}
        assert told(watch) == {}

    async def test_while_the_store_is_away_nothing_is_taken_back(self, watch, board):
        board.store.solvency = "low"
        await watch.look(board)
        board.store.away = True
        with pytest.raises(StoreUnavailable):
            await watch.look(board)

        assert list(told(watch)) == [("GuardClosed", "bankroll")]


async def test_every_partition_is_tended_once_in_a_round(watch, clock):
    for partitions in (1, 4, 64):
        store, fresh = Tending(), GuardWatch(watch.concerns, clock)
        await a_round(fresh, store, partitions)

        assert {number for number, _ in store.asked} == set(range(partitions))
        assert len(store.asked) <= max(partitions + 10, 10)
        assert {older_than for _, older_than in store.asked} == {NOON - minutes(10)}


async def test_a_quarantine_is_told_until_the_last_partition_is_out_of_it(watch, clock):
    store = Tending()
    store.found = {
        1: Tended((), Quarantine(NOON + minutes(5))),
        3: Tended((), Quarantine(NOON + minutes(7), set_forward=True)),
    }
    await a_round(watch, store)
    assert told(watch)["GuardQuarantined", ""] == (
        "2 of 4 partitions, until 12:07:00Z and until they are read anew: "
        "holds may have been lost and the store's clock was set forward"
    )

    clock.pass_(minutes(6))
    await a_round(watch, store)
    assert told(watch)["GuardQuarantined", ""] == (
        "1 of 4 partitions, until 12:07:00Z and until they are read anew: the store's clock was set forward"
    )
    clock.pass_(minutes(2))
    await a_round(watch, store)
    assert told(watch) == {}


async def test_debits_that_nobody_sees_are_told_by_wallet_until_somebody_does(watch):
    store = Tending()
    seven = [("player-7", "USDT", debit()), ("player-7", "USDT", debit("bet-2", "0.50", NOON - minutes(15)))]
    store.found = {0: Tended(seven, None), 2: Tended([("player-9", "BTC", debit("bet-3"))], None)}
    await a_round(watch, store)

    assert told(watch) == {
        ("GuardUnsettled", "player-7 USDT"): "20.5 in 2, the oldest committed 2026-11-20 11:40:00Z "
        "(hold bet-1 of casino)",
        ("GuardUnsettled", "player-9 BTC"): "20 in 1, the oldest committed 2026-11-20 11:40:00Z (hold bet-3 of casino)",
    }
    store.found = {2: store.found[2]}
    await a_round(watch, store)
    assert list(told(watch)) == [("GuardUnsettled", "player-9 BTC")]
    store.found = {}
    await a_round(watch, store)
    assert told(watch) == {}


async def test_a_bet_that_was_settled_too_late_is_told_for_an_hour(watch, clock):
    hold = Hold("casino", "bet-1", "player-7", "USDT", "expired", amount("12.5"), 2, "dec_1")
    watch.late("commit", hold)
    watch.late("settled", hold)

    assert told(watch) == {
        ("GuardLateCommit", "casino/bet-1"): "settled of 12.50 USDT of player-7, hold bet-1 of casino"
    }

    class Nobody:
        async def nothing(self, *_):
            return None

        def __getattr__(self, name):
            return self.nothing

    clock.pass_(LATE_TOLD - timedelta(seconds=1))
    await watch.concerns.tell(Nobody())
    assert told(watch)
    clock.pass_(seconds(1))
    await watch.concerns.tell(Nobody())
    assert told(watch) == {}
