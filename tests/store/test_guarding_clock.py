"""The clock of the store's host is set forward and back: some bets are refused for it, none is promised money twice."""

import pytest

from tests.builders import minutes, seconds
from tests.guard.asks import amount, ask, fed, terms
from tests.guard.readings import reads

TERMS = terms()
HOUR = minutes(60)


async def bets(store, text, name):
    """The reason that a bet is answered with, where a reading has just shown a hundred."""
    await reads(store, {"USDT": fed("100")})
    return (await store.hold(ask(text, name), TERMS)).reason


async def outcome(resolving):
    return (await resolving).outcome


async def test_a_hold_outlives_a_clock_that_was_set_back(store, clock):
    assert await bets(store, "60", "kept") == "OK"
    clock.now -= HOUR

    assert await bets(store, "60", "second") == "INSUFFICIENT_FUNDS"
    assert await bets(store, "40", "third") == "OK"
    clock.now += seconds(35)
    # The third is over; the first was said to end later than that.
    assert await bets(store, "40", "fourth") == "OK"
    assert await outcome(store.commit_hold("casino", "kept", None, TERMS)) == "done"


@pytest.mark.parametrize("call", ["hold", "commit", "settled", "release", "find"])
async def test_a_hold_that_was_given_back_stays_so_when_the_clock_is_set_back(store, clock, call):
    assert await bets(store, "60", "over") == "OK"
    clock.now += HOUR
    assert await bets(store, "60", "second") == "OK"
    assert (await store.release_hold("casino", "second", TERMS)).outcome == "done"
    clock.now -= HOUR

    assert await bets(store, "60", "third") == "OK"

    if call == "hold":
        assert await bets(store, "60", "over") == "HOLD_TOMBSTONED"
    elif call == "commit":
        assert await outcome(store.commit_hold("casino", "over", None, TERMS)) == "hold-expired"
    elif call == "settled":
        assert await outcome(store.settle_hold("casino", "over", TERMS)) == "hold-expired"
    elif call == "release":
        assert (await store.release_hold("casino", "over", TERMS)).hold.state == "expired"
    found, _ = await store.find_hold("casino", "over", TERMS)
    assert found.state == "expired"
    wallet = await store.wallet("player-7", "USDT", TERMS)
    assert wallet.balance.held == amount("60")
    assert [one.id for one in wallet.holds] == ["third"]


async def test_a_debit_counts_on_while_the_clock_is_behind_its_booking(store, clock):
    assert await bets(store, "60", "bet") == "OK"
    assert await outcome(store.settle_hold("casino", "bet", TERMS)) == "done"
    clock.now -= HOUR
    assert await bets(store, "41", "second") == "INSUFFICIENT_FUNDS"
    clock.now += HOUR + seconds(3)
    assert await bets(store, "100", "third") == "OK"
