"""What an asset is called changes: whatever was held or committed stays with the wallet that it was taken from."""

import pytest

from monitor.guard.hold import Lock
from tests.builders import minutes, seconds
from tests.guard.asks import amount, ask, fed, terms
from tests.guard.readings import reads

TERMS = terms()


async def held(store, asset):
    found = (await store.check(ask("0", asset=asset), TERMS)).balance
    return found.held, found.unsettled


@pytest.fixture
async def renamed(store, clock):
    """A bet on USDT, of which the network is told only then, and a bet on USDT@TRX."""
    await reads(store, {"USDT": fed("100")})
    await store.hold(ask("60"), TERMS)
    clock.pass_(seconds(1))
    await reads(store, {"USDT@TRX": fed("100")}, whole=True)
    assert (await store.hold(ask("30", "new", asset="USDT@TRX"), TERMS)).allowed
    return store


ENDS = {
    "commit": lambda store: store.commit_hold("casino", "bet-1", None, TERMS),
    "settled": lambda store: store.settle_hold("casino", "bet-1", TERMS),
    "release": lambda store: store.release_hold("casino", "bet-1", TERMS),
}


@pytest.mark.parametrize("call", ENDS)
async def test_a_bet_ends_in_the_wallet_it_was_made_in_whatever_that_is_called_now(renamed, call):
    assert (await ENDS[call](renamed)).outcome == "done"

    assert await held(renamed, "USDT@TRX") == (amount("30"), amount("0" if call == "release" else "60"))
    left = "70" if call == "release" else "10"
    assert (await renamed.hold(ask(left + ".01", "more", asset="USDT@TRX"), TERMS)).reason == "INSUFFICIENT_FUNDS"
    assert (await renamed.hold(ask(left, "all", asset="USDT@TRX"), TERMS)).allowed
    assert (await renamed.release_hold("casino", "new", TERMS)).outcome == "done"


async def test_a_wallet_shows_what_is_held_and_owed_under_the_name_before(renamed):
    wallet = await renamed.wallet("player-7", "USDT@TRX", TERMS)
    assert (wallet.balance.held, {one.id for one in wallet.holds}) == (amount("90"), {"bet-1", "new"})

    await renamed.commit_hold("casino", "bet-1", None, TERMS)

    wallet = await renamed.wallet("player-7", "USDT@TRX", TERMS)
    assert (wallet.balance.held, wallet.balance.unsettled, wallet.balance.spendable) == (
        amount("30"),
        amount("60"),
        amount("10"),
    )
    assert [one.hold for one in wallet.debits] == ["bet-1"]


async def test_a_bet_that_counts_late_counts_in_the_wallet_it_was_made_in(renamed, clock):
    clock.pass_(minutes(1))

    assert (await renamed.settle_hold("casino", "bet-1", TERMS)).late

    assert await held(renamed, "USDT@TRX") == (0, amount("60"))


async def test_an_asset_that_comes_back_has_what_was_held_and_committed(renamed, clock):
    await renamed.commit_hold("casino", "bet-1", None, TERMS)
    clock.pass_(seconds(1))
    await reads(renamed, {"USDT": fed("100"), "USDT@TRX": fed("100")})

    assert await held(renamed, "USDT") == (0, amount("60"))
    clock.pass_(minutes(1))
    await reads(renamed, {"USDT": fed("40")})
    assert await held(renamed, "USDT") == (0, 0)


async def test_a_lock_on_a_name_without_network_changes_no_sums(renamed):
    await renamed.lock("player-7", "USDT", Lock("aml"))
    await renamed.unlock("player-7", "USDT", "aml")

    assert await held(renamed, "USDT@TRX") == (amount("90"), 0)


async def test_what_was_bet_without_its_network_is_the_same_bet_when_there_are_two(store, clock):
    await reads(store, {"USDT@TRX": fed("100")})
    await store.hold(ask("60"), TERMS)
    clock.pass_(seconds(1))
    await reads(store, {"USDT@TRX": fed("100"), "USDT@ETH": fed("100")})

    assert (await store.commit_hold("casino", "bet-1", None, TERMS)).outcome == "done"

    assert await held(store, "USDT@TRX") == (0, amount("60"))
    assert await held(store, "USDT@ETH") == (0, 0)


@pytest.mark.parametrize("count", [999, 1000, 1001, 5000])
async def test_an_account_may_have_thousands_of_assets(store, clock, count):
    for told in ("1", "2"):
        await reads(store, {f"A{n}@X{n}": fed(told) for n in range(count)}, whole=told == "2")
        clock.pass_(seconds(1))

    for name in ("A0", "A998", f"A{count - 1}@X{count - 1}", f"A{count - 1}"):
        assert (await store.check(ask("2", asset=name), TERMS)).allowed
    assert (await store.check(ask("2", asset=f"A{count}"), TERMS)).reason == "ASSET_UNKNOWN"


async def test_a_repeat_tells_the_wallet_that_its_bet_counts_in(renamed):
    again = await renamed.hold(ask("60"), TERMS)

    assert (again.allowed, again.replayed) == (True, True)
    assert (again.balance.asset, again.balance.last_seen) == ("USDT@TRX", amount("100"))
    assert (again.balance.held, again.balance.spendable) == (amount("90"), amount("10"))


@pytest.mark.parametrize("touched", [False, True])
async def test_a_debit_from_before_its_network_was_told_is_covered_as_others_are(renamed, clock, touched):
    await renamed.commit_hold("casino", "bet-1", None, TERMS)
    clock.pass_(minutes(1))
    await reads(renamed, {"USDT@TRX": fed("40")})
    if touched:
        assert await held(renamed, "USDT@TRX") == (0, 0)

    assert (await renamed.find_hold("casino", "bet-1", TERMS))[0].state == "covered"
    found = [await renamed.tend(one, clock() - seconds(30), TERMS) for one in range(len(renamed.partitions))]
    assert [one.unsettled for one in found if one.unsettled] == []
    assert await renamed._calls.command("EXISTS", renamed._wallets("player-7").debits) == 0
