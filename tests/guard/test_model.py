"""The model by hand: a model that is wrong finds nothing. Each test is a sentence of the specification."""

import inspect

import pytest

from monitor.engine.guardports import GuardStore
from tests.builders import NOON, minutes, seconds
from tests.fakes import FakeClock
from tests.guard.asks import amount, ask, fed, terms
from tests.guard.model import ModelGuard

TERMS = terms()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def guard(clock):
    guard = ModelGuard(clock)
    guard.feed("player-7", {"USDT": fed("100")}, NOON)
    return guard


@pytest.mark.parametrize("method", sorted(name for name in vars(GuardStore) if not name.startswith("_")))
def test_the_model_is_called_as_the_store_is(method):
    promised, given = (inspect.signature(getattr(one, method)).parameters for one in (GuardStore, ModelGuard))

    assert list(promised) == list(given)


async def balance(guard):
    return (await guard.wallet("player-7", "USDT", TERMS)).balance


async def test_what_is_held_cannot_be_held_again(guard):
    first = await guard.hold(ask("60", "a"), TERMS)
    second = await guard.hold(ask("60", "b"), TERMS)

    assert (first.reason, second.reason) == ("OK", "INSUFFICIENT_FUNDS")
    assert second.balance.spendable == amount("40")


async def test_a_check_reserves_nothing(guard):
    assert (await guard.check(ask("100"), TERMS)).allowed
    assert (await balance(guard)).held == 0


async def test_the_same_bet_gets_the_same_answer_and_another_body_none(guard):
    await guard.hold(ask("60"), TERMS)

    again, other = await guard.hold(ask("60.00"), TERMS), await guard.hold(ask("61"), TERMS)

    assert (again.allowed, again.replayed, again.reused) == (True, True, False)
    assert other.reused
    assert (await balance(guard)).held == amount("60")


async def test_a_refusal_sticks_to_its_id_when_there_is_money_again(guard, clock):
    await guard.hold(ask("160"), TERMS)
    clock.pass_(seconds(1))
    guard.feed("player-7", {"USDT": fed("1000")}, clock())

    again = await guard.hold(ask("160"), TERMS)

    assert (again.reason, again.replayed) == ("INSUFFICIENT_FUNDS", True)


async def test_a_release_before_its_bet_refuses_the_bet(guard):
    assert (await guard.release_hold("casino", "bet-1", TERMS)).outcome == "done"
    assert (await guard.hold(ask(), TERMS)).reason == "HOLD_TOMBSTONED"
    assert (await guard.commit_hold("casino", "bet-1", None, TERMS)).outcome == "hold-already-released"


async def test_a_committed_amount_counts_until_a_reading_began_after_posting_and_lag(guard, clock):
    await guard.hold(ask("60"), TERMS)
    await guard.commit_hold("casino", "bet-1", amount("50"), TERMS)
    assert (await balance(guard)).unsettled == amount("50")

    clock.pass_(seconds(20))
    guard.feed("player-7", {"USDT": fed("100")}, NOON + seconds(12))
    assert (await balance(guard)).spendable == amount("50")

    guard.feed("player-7", {"USDT": fed("50")}, NOON + seconds(12.000001))
    assert (await balance(guard)).spendable == amount("50")
    assert (await guard.find_hold("casino", "bet-1", TERMS))[0].state == "covered"


async def test_settled_says_earlier_that_it_is_booked(guard, clock):
    await guard.hold(ask("60"), TERMS)
    await guard.settle_hold("casino", "bet-1", TERMS)

    clock.pass_(seconds(3))
    guard.feed("player-7", {"USDT": fed("40")}, NOON + seconds(2.000001))

    assert (await balance(guard)).unsettled == 0


async def test_a_reading_that_began_earlier_is_dropped(guard, clock):
    clock.pass_(seconds(6))
    guard.feed("player-7", {"USDT": fed("40")}, NOON + seconds(5))
    guard.feed("player-7", {"USDT": fed("100")}, NOON + seconds(4))

    assert (await balance(guard)).last_seen == amount("40")


async def test_a_hold_gives_its_money_back_at_its_deadline_and_not_before(guard, clock):
    await guard.hold(ask("60"), TERMS)

    clock.pass_(seconds(29.999999))
    assert (await balance(guard)).held == amount("60")
    clock.pass_(seconds(0.000001))
    assert (await balance(guard)).held == 0
    assert (await guard.commit_hold("casino", "bet-1", None, TERMS)).outcome == "hold-expired"
    assert (await guard.hold(ask("60"), TERMS)).reason == "HOLD_TOMBSTONED"
    assert (await guard.release_hold("casino", "bet-1", TERMS)).outcome == "done"


async def test_settled_after_expiry_is_refused_and_counts_once_all_the_same(guard, clock):
    await guard.hold(ask("60"), TERMS)
    clock.pass_(minutes(1))

    told = [await guard.settle_hold("casino", "bet-1", TERMS) for _ in range(2)]

    assert [(one.outcome, one.late) for one in told] == [("hold-expired", True)] * 2
    assert (await balance(guard)).unsettled == amount("60")


async def test_what_is_locked_is_taken_off_or_refuses_as_configured(guard, clock):
    clock.pass_(seconds(1))
    guard.feed("player-7", {"USDT": fed("100", "30")}, clock())

    assert (await guard.check(ask("71"), TERMS)).reason == "INSUFFICIENT_FUNDS"
    assert (await guard.check(ask("70"), TERMS)).allowed
    assert (await guard.check(ask("70"), terms(locked="deny"))).reason == "ACCOUNT_LOCKED"


async def test_a_quarantine_ends_with_a_reading_that_began_after_it(guard, clock):
    guard.quarantine("player-7", NOON + minutes(1))
    clock.pass_(minutes(2))
    assert (await guard.check(ask(), TERMS)).reason == "STATE_QUARANTINED"

    guard.feed("player-7", {"USDT": fed("100")}, clock())
    assert (await guard.check(ask(), TERMS)).allowed


async def test_an_asset_on_two_networks_must_be_named_with_one(guard, clock):
    guard.feed("player-8", {"USDT@TRX": fed("1"), "USDT@ETH": fed("20")}, NOON)

    assert (await guard.hold(ask(account="player-8"), TERMS)).networks == ("USDT@ETH", "USDT@TRX")
    assert (await guard.hold(ask(account="player-8", asset="USDT@ETH"), TERMS)).allowed
    assert (await guard.check(ask(account="player-8", asset="BTC"), TERMS)).reason == "ASSET_UNKNOWN"
    assert (await guard.check(ask(account="player-9"), TERMS)).reason == "BALANCE_NEVER_SEEN"


async def test_an_answer_that_came_too_late_undoes_what_nobody_was_told_of(guard):
    await guard.hold(ask(), TERMS)

    await guard.refuse_hold("casino", "bet-1", "dec_other", TERMS, "HOLD_TOMBSTONED")
    assert (await balance(guard)).held == amount("10")
    await guard.refuse_hold("casino", "bet-1", "dec_1", TERMS, "HOLD_TOMBSTONED")
    assert (await balance(guard)).held == 0
    assert (await guard.hold(ask(), TERMS)).reason == "HOLD_TOMBSTONED"


async def test_but_not_a_hold_that_somebody_was_told_of_meanwhile(guard):
    await guard.hold(ask(), TERMS)
    await guard.hold(ask(decision="dec_2"), TERMS)

    await guard.refuse_hold("casino", "bet-1", "dec_1", TERMS, "HOLD_TOMBSTONED")

    assert (await balance(guard)).held == amount("10")


async def test_what_the_house_cannot_cover_is_refused_for_good(guard):
    await guard.hold(ask(), TERMS)

    await guard.refuse_hold("casino", "bet-1", "dec_1", TERMS, "BANKROLL_INSUFFICIENT")

    assert (await guard.hold(ask(), TERMS)).reason == "BANKROLL_INSUFFICIENT"
    assert (await balance(guard)).held == 0


async def test_a_hold_refused_before_it_came_is_a_tombstone(guard):
    await guard.refuse_hold("casino", "bet-1", "dec_1", TERMS, "HOLD_TOMBSTONED")

    assert (await guard.hold(ask(), TERMS)).reason == "HOLD_TOMBSTONED"
