"""The store's clock is set back while money is held: then less may be promised for a while, never more."""

from tests.builders import minutes, seconds
from tests.guard.asks import amount, ask, fed, terms
from tests.guard.readings import reads

TERMS = terms()


async def balance(store):
    return (await store.check(ask("0"), TERMS)).balance


async def test_a_reading_of_before_the_step_covers_nothing_that_is_committed_after_it(store, clock):
    await reads(store, {"USDT": fed("100")})
    await store.hold(ask("60"), TERMS)

    clock.pass_(minutes(-60))
    await store.commit_hold("casino", "bet-1", None, TERMS)
    assert (await balance(store)).unsettled == amount("60")

    clock.pass_(seconds(1))
    await reads(store, {"USDT": fed("100")})
    assert (await balance(store)).spendable == amount("40")


async def test_nor_what_is_settled_after_it(store, clock):
    await reads(store, {"USDT": fed("100")})
    await store.hold(ask("60"), TERMS)
    await store.commit_hold("casino", "bet-1", None, TERMS)

    clock.pass_(minutes(-60))
    await store.settle_hold("casino", "bet-1", TERMS)

    assert (await balance(store)).unsettled == amount("60")


async def test_what_has_expired_and_was_given_back_stays_expired(store, clock):
    await reads(store, {"USDT": fed("100")})
    await store.hold(ask("60", "a"), TERMS)
    clock.pass_(seconds(31))
    await store.hold(ask("70", "b", ttl=minutes(5)), TERMS)

    clock.pass_(seconds(-10))

    assert (await store.hold(ask("60", "a"), TERMS)).reason == "HOLD_TOMBSTONED"
    assert (await store.commit_hold("casino", "a", None, TERMS)).outcome == "hold-expired"
    assert (await store.release_hold("casino", "a", TERMS)).outcome == "done"
    assert (await balance(store)).held == amount("70")


async def test_what_was_read_by_a_clock_that_is_ahead_is_too_old_to_bet_on(store, clock):
    await reads(store, {"USDT": fed("100")})

    clock.pass_(minutes(-60))
    assert (await store.check(ask(), TERMS)).reason == "BALANCE_STALE"

    await reads(store, {"USDT": fed("90")})
    assert (await store.check(ask(), TERMS)).balance.last_seen == amount("90")


async def test_a_clock_that_jumps_ahead_expires_holds_and_makes_what_was_read_too_old(store, clock):
    await reads(store, {"USDT": fed("100")})
    await store.hold(ask("60"), TERMS)

    clock.pass_(minutes(60))

    assert (await store.commit_hold("casino", "bet-1", None, TERMS)).outcome == "hold-expired"
    assert (await store.check(ask("1"), TERMS)).reason == "BALANCE_STALE"
