"""What closes the guard for everybody: an operator's word, and the house's balance with hysteresis."""

import pytest

from monitor.guard.hold import Switch
from tests.builders import NOON, minutes, seconds
from tests.guard.asks import amount, fed, terms
from tests.guard.readings import reads

TERMS, MAX_AGE = terms(), minutes(3)


async def house(store, below="80", above="100", account="hot", asset="USDT", whose=""):
    solvency, _ = await store.bankroll(account, asset, amount(below), amount(above), whose, TERMS, MAX_AGE)
    return solvency


async def told(store, clock, *balances):
    """What is said of the house after each of these balances, a minute apart."""
    said = []
    for balance in balances:
        clock.pass_(minutes(1))
        await reads(store, {"USDT": fed(balance)}, "hot")
        said.append(await house(store))
    return said


async def test_an_operator_closes_for_all_processes_and_says_why(open_store):
    ours, theirs = await open_store(), await open_store()
    closed = Switch(NOON, "an audit, till six", "maria")

    assert await theirs.switch() == Switch()
    await ours.close_guard(closed)
    assert await theirs.switch() == closed
    await theirs.open_guard()
    assert await ours.switch() == Switch()


async def test_case_58_a_bankroll_that_hovers_closes_and_opens_once(store, clock):
    assert await told(store, clock, "99", "80", "79.99", "80", "99.99", "100", "80") == [
        "solvent", "solvent", "low", "low", "low", "solvent", "solvent",
    ]  # fmt: skip


async def test_whoever_judges_says_what_all_have_seen(open_store, clock):
    ours, theirs = await open_store(), await open_store()
    await told(ours, clock, "79")
    clock.pass_(minutes(1))
    await reads(ours, {"USDT": fed("90")}, "hot")

    assert [await house(theirs), await house(ours)] == ["low", "low"]


async def test_a_bankroll_never_seen_is_not_taken_for_enough(store):
    assert await house(store) == "unknown"


async def test_what_another_wallet_had_that_the_name_stood_for_is_not_taken_for_enough(store, clock):
    await reads(store, {"USDT": fed("1000")}, "hot", whose="rich")
    assert [await house(store, whose="rich"), await house(store, whose="poor")] == ["solvent", "unknown"]

    clock.pass_(minutes(1))
    await reads(store, {"USDT": fed("5")}, "hot", whose="poor")
    assert await house(store, whose="poor") == "low"


async def test_a_bankroll_not_seen_of_late_is_unknown_and_then_as_it_was(store, clock):
    assert await told(store, clock, "79") == ["low"]
    clock.pass_(MAX_AGE + seconds(1))
    assert await house(store) == "unknown"
    assert await told(store, clock, "90") == ["low"]


async def test_another_wallet_is_judged_by_itself(store, clock):
    assert await told(store, clock, "79", "90") == ["low", "low"]
    await reads(store, {"USDT": fed("90")}, "cold")

    assert await house(store, account="cold") == "solvent"


async def test_an_asset_without_its_network_is_the_only_one_there_is(store, clock):
    await reads(store, {"USDT@ETH": fed("90")}, "hot")
    assert await house(store) == "solvent"
    clock.pass_(minutes(1))
    await reads(store, {"USDT@ETH": fed("90"), "USDT@TRX": fed("90")}, "hot")
    assert await house(store) == "unknown"


@pytest.mark.parametrize("step", [minutes(2), minutes(60 * 24 * 365)])
async def test_a_clock_set_back_does_not_stop_the_judging(store, clock, step):
    assert await told(store, clock, "79") == ["low"]
    clock.pass_(-step)
    assert await told(store, clock, "100", "79") == ["solvent", "low"]


async def test_amounts_are_compared_exactly(store, clock):
    for digits in ("80.000000000000000001", "123456789012345678901234567.000000000000000001"):
        less = digits[:-1] + "0"
        clock.pass_(minutes(1))
        await reads(store, {"USDT": fed(less)}, "hot")
        assert await house(store, below=digits, above=digits) == "low"
        clock.pass_(minutes(1))
        await reads(store, {"USDT": fed(digits)}, "hot")
        assert await house(store, below=digits, above=digits) == "solvent"
