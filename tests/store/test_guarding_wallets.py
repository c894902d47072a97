"""Wallets seen whole, locks that others push, what polls may and may not replace, and what nobody touches."""

from decimal import Decimal

import pytest

from monitor.engine.feeding import fed as as_fed
from monitor.guard.hold import HOLDS_MAX, Debit, Lock
from monitor.store.guardkeys import WalletKeys
from tests.builders import NOON, minutes, seconds
from tests.guard.asks import amount, ask, fed, terms
from tests.guard.readings import reads

TERMS = terms()


@pytest.fixture
async def guard(store):
    await reads(store, {"USDT": fed("100.50"), "BTC": fed("2")})
    return store


async def why(store, **changes):
    return (await store.check(ask("1", **changes), TERMS)).reason


async def test_a_wallet_is_seen_whole(guard):
    await guard.hold(ask("12.50", "a"), TERMS)
    await guard.hold(ask("20", "b"), TERMS)
    await guard.hold(ask("1", "other", asset="BTC"), TERMS)
    await guard.commit_hold("casino", "b", amount("19"), TERMS)
    await guard.lock("player-7", "USDT", Lock("aml", NOON + minutes(1)))
    await guard.lock("player-7", "USDT", Lock("player"))

    wallet = await guard.wallet("player-7", "USDT", TERMS)

    assert (wallet.balance.last_seen, wallet.balance.decimals, wallet.balance.as_of) == (amount("100.5"), 2, NOON)
    assert (wallet.balance.held, wallet.balance.unsettled) == (amount("12.5"), amount("19"))
    assert [(one.id, one.caller, one.state, one.amount, one.decimals) for one in wallet.holds] == [
        ("a", "casino", "held", amount("12.5"), 2)
    ]
    assert wallet.debits == (Debit("b", "casino", amount("19"), NOON, NOON + seconds(10)),)
    assert wallet.locks == (Lock("aml", NOON + minutes(1)), Lock("player"))
    assert (wallet.bound_until, wallet.more, wallet.now) == (None, 0, NOON)
    assert wallet.token > 0


async def test_a_wallet_that_was_never_read_is_none(guard):
    assert await guard.wallet("player-7", "ETH", TERMS) is None
    assert await guard.wallet("nobody", "USDT", TERMS) is None


async def test_nor_is_one_whose_name_stood_for_another_when_it_was_read(store, clock):
    await reads(store, {"USDT": fed("1000")}, whose="rich")
    assert (await store.wallet("player-7", "USDT", TERMS, "rich")).balance.last_seen == amount("1000")

    assert await store.wallet("player-7", "USDT", TERMS, "poor") is None

    clock.pass_(seconds(1))
    await reads(store, {"USDT": fed("5")}, whose="poor")
    assert (await store.wallet("player-7", "USDT", TERMS, "poor")).balance.last_seen == amount("5")


async def test_a_debit_that_waits_for_settled_has_no_time(guard):
    only = terms(posting_delay=None)
    await guard.hold(ask("1"), only)
    await guard.commit_hold("casino", "bet-1", None, only)

    assert (await guard.wallet("player-7", "USDT", only)).debits[0].posted_at is None


async def test_of_many_holds_a_hundred_are_shown_and_the_rest_counted(guard):
    many = terms(max_holds=1000)
    for number in range(105):
        await guard.hold(ask("0.01", f"bet-{number}"), many)

    wallet = await guard.wallet("player-7", "USDT", many)

    assert (len(wallet.holds), wallet.more) == (100, 5)


async def test_the_most_open_holds_are_those_of_one_wallet(guard):
    few = terms(max_holds=2)
    for name in ("a", "b"):
        await guard.hold(ask("1", name), few)

    assert (await guard.hold(ask("1", "c"), few)).reason == "TOO_MANY_HOLDS"
    assert (await guard.hold(ask("1", "d", asset="BTC"), few)).allowed
    await guard.release_hold("casino", "a", few)
    assert (await guard.hold(ask("1", "e"), few)).allowed


async def test_as_many_open_holds_as_there_may_be_are_counted(guard):
    most = terms(max_holds=HOLDS_MAX)
    await guard.hold(ask("1", "a"), most)
    wallets = WalletKeys(guard.partition("player-7"), "player-7").wallets
    sums = (await guard._calls.command("HGET", wallets, "s:USDT")).decode()
    await guard._calls.command("HSET", wallets, "s:USDT", f"{sums[:90]}{HOLDS_MAX - 1}{sums[96:]}")

    assert (await guard.hold(ask("1", "last"), most)).allowed
    assert (await guard.hold(ask("1", "more"), most)).reason == "TOO_MANY_HOLDS"
    counted = (await guard._calls.command("HGET", wallets, "s:USDT")).decode()
    assert counted == f"{amount('2'):045d}{0:045d}{HOLDS_MAX}{sums[96:]}"


async def test_a_lock_stops_new_holds_until_it_is_over_or_taken_back(guard, clock):
    await guard.hold(ask("10"), TERMS)
    await guard.lock("player-7", "USDT", Lock("aml", NOON + minutes(1)))
    await guard.lock("player-7", "USDT", Lock("player"))

    assert await why(guard) == "ACCOUNT_LOCKED"
    assert await why(guard, asset="BTC") == "OK"
    assert (await guard.commit_hold("casino", "bet-1", None, TERMS)).outcome == "done"

    assert await guard.unlock("player-7", "USDT", "player")
    assert not await guard.unlock("player-7", "USDT", "player")
    assert await why(guard) == "ACCOUNT_LOCKED"
    clock.pass_(minutes(1))
    assert await why(guard) == "OK"
    assert not await guard.unlock("player-7", "USDT", "aml")


async def test_the_last_word_of_a_source_counts(guard):
    await guard.lock("player-7", "USDT", Lock("aml"))
    await guard.lock("player-7", "USDT", Lock("aml", NOON - seconds(1)))

    assert await why(guard) == "OK"


async def test_what_is_locked_without_its_network_is_locked_on_all(store):
    await store.lock("player-7", "USDT", Lock("aml"))
    assert await why(store) == "ACCOUNT_LOCKED"

    await reads(store, {"USDT@TRX": fed("10")})

    assert [await why(store), await why(store, asset="USDT@TRX")] == ["ACCOUNT_LOCKED"] * 2
    await store.lock("player-7", "USDT@TRX", Lock("aml", NOON + minutes(1)))
    assert {lock.source for lock in (await store.wallet("player-7", "USDT@TRX", TERMS)).locks} == {"aml"}
    assert len((await store.wallet("player-7", "USDT@TRX", TERMS)).locks) == 2


async def test_a_process_counts_the_holds_it_has_made(guard, clock):
    for hold in ("a", "b", "c"):
        await guard.hold(ask("1", hold), TERMS)
    await guard.hold(ask("100000", "d"), TERMS)
    await guard.release_hold("casino", "a", TERMS)
    await guard.commit_hold("casino", "b", None, TERMS)

    assert guard.open_holds() == 1
    clock.pass_(minutes(1))
    await guard.check(ask("1"), TERMS)
    assert guard.open_holds() == 0


async def test_as_many_sources_as_can_be_looked_at_lock_one_wallet(store):
    for number in range(100):
        assert await store.lock("player-7", "USDT", Lock(f"s{number}"))

    assert not await store.lock("player-7", "USDT", Lock("aml"))
    assert await store.lock("player-7", "USDT", Lock("s7", NOON + minutes(1)))
    assert await store.unlock("player-7", "USDT", "s7")
    assert await store.lock("player-7", "USDT", Lock("aml"))


@pytest.mark.parametrize(
    ("told", "subtract", "deny"),
    [
        (fed("100", "60"), "INSUFFICIENT_FUNDS", "ACCOUNT_LOCKED"),
        (fed("100")._replace(apart=Decimal(1)), "OK", "ACCOUNT_LOCKED"),
        (fed("100"), "OK", "OK"),
    ],
    ids=["within", "apart", "nothing"],
)
async def test_what_the_provider_has_locked_is_taken_off_or_objected_to(store, told, subtract, deny):
    await reads(store, {"USDT": told})

    found = [await store.check(ask("50"), terms(locked=how)) for how in ("subtract", "deny")]

    assert [one.reason for one in found] == [subtract, deny]
    assert found[1].balance.locked == 0


@pytest.mark.parametrize(("total", "enough"), [(None, "70"), ("100", "70"), ("130", "100")])
async def test_case_60_of_what_may_be_there_or_not_only_what_is_there_for_sure_is_held(store, total, enough):
    # Without a total nobody says whether `available` still contains what is locked.
    told = {"available": Decimal(100), "locked": Decimal(30)} | ({"total": Decimal(total)} if total else {})
    await reads(store, {"USDT": as_fed(told)})

    assert (await store.hold(ask(f"{enough}.01", "more"), TERMS)).reason == "INSUFFICIENT_FUNDS"
    assert (await store.hold(ask(enough, "all"), TERMS)).reason == "OK"


async def test_an_answer_to_an_older_request_never_replaces_a_newer_one(guard, clock):
    clock.pass_(seconds(10))
    for began, told in ((NOON + seconds(5), "50"), (NOON + seconds(4), "70"), (NOON + seconds(5), "80")):
        await reads(guard, {"USDT": fed(told)}, began=began)

    balance = (await guard.check(ask(), TERMS)).balance
    assert (balance.last_seen, balance.as_of) == (amount("50"), NOON + seconds(5))
    assert await guard.seen_at("player-7") == (NOON + seconds(5), NOON + seconds(10))


async def test_what_is_known_of_a_clock_that_was_ahead_is_replaced_and_not_believed(guard, clock):
    await reads(guard, {"USDT": fed("500")}, began=NOON + minutes(60))
    assert await why(guard) == "BALANCE_STALE"

    clock.pass_(seconds(1))
    await reads(guard, {"USDT": fed("50")})

    assert (await guard.check(ask(), TERMS)).balance.last_seen == amount("50")
    assert await why(guard) == "OK"


async def test_a_reading_is_as_old_as_a_trusted_provider_says(guard, clock):
    clock.pass_(minutes(5))
    await reads(guard, {"USDT": fed("50")}, as_of=NOON + minutes(1))

    assert (await guard.check(ask(), TERMS)).balance.as_of == NOON + minutes(1)
    assert await why(guard) == "BALANCE_STALE"


async def test_a_providers_clock_that_is_ahead_makes_no_reading_younger(guard, clock):
    clock.pass_(seconds(1))
    await reads(guard, {"USDT": fed("50")}, as_of=NOON + minutes(60))

    assert (await guard.check(ask(), TERMS)).balance.as_of == NOON + seconds(1)


async def test_facts_are_stale_once_they_are_older_than_was_asked_for(guard, clock):
    clock.pass_(seconds(150))
    assert await why(guard) == "OK"
    clock.pass_(seconds(0.000001))
    assert await why(guard) == "BALANCE_STALE"


async def test_what_was_never_seen_is_never_zero(guard):
    assert await why(guard, account="nobody") == "BALANCE_NEVER_SEEN"
    assert await why(guard, asset="ETH") == "ASSET_UNKNOWN"
    assert await why(guard, asset="ETH", declared=True) == "BALANCE_NEVER_SEEN"
    assert (await guard.check(ask(account="nobody"), TERMS)).balance.last_seen is None


async def test_an_asset_that_is_not_read_this_time_keeps_its_age(guard, clock):
    clock.pass_(minutes(2))
    await reads(guard, {"USDT": fed("100")})
    clock.pass_(minutes(1))

    assert [await why(guard), await why(guard, asset="BTC")] == ["OK", "BALANCE_STALE"]


async def test_a_whole_answer_forgets_what_it_leaves_out(guard, clock):
    clock.pass_(seconds(1))
    await reads(guard, {"USDT@TRX": fed("100")}, whole=True)

    assert await guard.resolve_asset("player-7", "USDT") == ("USDT@TRX",)
    assert await why(guard, asset="BTC") == "ASSET_UNKNOWN"
    assert await why(guard) == "OK"


async def test_a_name_means_what_the_account_has(guard, clock):
    clock.pass_(seconds(1))
    await reads(guard, {"ETH@ARB": fed("1"), "ETH@OP": fed("1")})

    assert await guard.resolve_asset("player-7", "USDT") == ("USDT",)
    assert await guard.resolve_asset("player-7", "ETH") == ("ETH@ARB", "ETH@OP")
    assert await guard.resolve_asset("player-7", "DOGE") == ()


@pytest.mark.parametrize(
    ("early", "found"),
    [
        ("ACCOUNT_UNKNOWN", "ACCOUNT_UNKNOWN"),
        ("GUARD_CLOSED", "GUARD_CLOSED"),
        ("SESSION_EXPIRED", "ACCOUNT_LOCKED"),
        ("AMOUNT_ABOVE_MAX", "ACCOUNT_LOCKED"),
    ],
)
async def test_of_several_reasons_the_first_one_counts(guard, early, found):
    await guard.lock("player-7", "USDT", Lock("aml"))

    assert await why(guard, early=early) == found


async def tended(store, clock):
    """The debits that are older than ten minutes."""
    found = [await store.tend(number, clock() - minutes(10), TERMS) for number in range(len(store.partitions))]
    return [one for part in found for one in part.unsettled]


async def test_the_janitor_gives_back_what_expired_in_wallets_that_nobody_touches(guard, clock):
    for number in range(40):
        await guard.hold(ask("1", f"bet-{number}"), TERMS)
    clock.pass_(minutes(1))

    await tended(guard, clock)

    keys = guard._wallets("player-7")
    assert await guard._calls.command("EXISTS", keys.held, keys.tending) == 0
    await guard.hold(ask("1", "again"), TERMS)
    assert await guard._calls.command("ZCARD", keys.tending) == 1


async def test_the_janitor_tells_of_debits_that_nothing_covers_for_as_long_as_that_lasts(guard, clock):
    only = terms(posting_delay=None)
    await guard.hold(ask("1", "a"), only)
    await guard.hold(ask("2", "b"), only)
    for name in ("a", "b"):
        await guard.commit_hold("casino", name, None, only)
    clock.pass_(minutes(1))
    assert await tended(guard, clock) == []

    clock.pass_(minutes(10))
    old = [Debit(name, "casino", amount(units), NOON, None) for name, units in (("a", "1"), ("b", "2"))]
    for _ in range(2):
        assert sorted(await tended(guard, clock)) == [("player-7", "USDT", one) for one in old]

    await guard.settle_hold("casino", "a", only)
    clock.pass_(seconds(10))
    await reads(guard, {"USDT": fed("99")})

    assert await tended(guard, clock) == [("player-7", "USDT", old[1])]
    await guard.settle_hold("casino", "b", only)
    clock.pass_(seconds(10))
    await reads(guard, {"USDT": fed("97")})
    assert await tended(guard, clock) == []
    assert await guard._calls.command("ZCARD", guard._wallets("player-7").tending) == 0


async def test_the_wallets_of_an_account_that_is_gone_are_forgotten_once_nothing_is_open(guard, clock):
    only = terms(posting_delay=None)
    await guard.hold(ask("1"), only)
    await guard.commit_hold("casino", "bet-1", None, only)
    await guard.dismiss("casino", ["player-7"])
    clock.pass_(minutes(60 * 25))
    await tended(guard, clock)
    assert await guard.seen_at("player-7") != (None, clock())

    await guard.settle_hold("casino", "bet-1", only)
    clock.pass_(seconds(10))
    await reads(guard, {"USDT": fed("99")})
    await guard.dismiss("casino", ["player-7"])
    await tended(guard, clock)
    clock.pass_(minutes(60 * 25))
    await tended(guard, clock)

    assert await guard.seen_at("player-7") == (None, clock())


async def test_a_bet_at_the_end_of_a_session_is_no_debit_that_nobody_sees(guard, clock):
    await guard.hold(ask("60"), TERMS)
    await guard.commit_hold("casino", "bet-1", None, TERMS)
    await guard.dismiss("casino", ["player-7"])
    clock.pass_(minutes(11))

    assert await tended(guard, clock) == []
    assert (await guard.check(ask(), TERMS)).balance.unsettled == amount("60"), "no reading shows it"
    clock.pass_(minutes(60 * 25))
    await tended(guard, clock)
    where = guard._wallets("player-7")
    assert await guard._calls.command("EXISTS", where.wallets, where.debits) == 0
    await reads(guard, {"USDT": fed("40")})
    assert (await guard.check(ask("40"), TERMS)).allowed


async def test_a_lock_on_an_account_that_never_came_goes_once_it_is_over(store, clock):
    await store.lock("nobody", "USDT", Lock("aml", NOON + minutes(60 * 48)))
    await store.lock("somebody", "USDT", Lock("aml"))
    for hours in (25, 48):
        clock.pass_(minutes(60 * hours))
        await tended(store, clock)

    kept = [await store._calls.command("EXISTS", store._wallets(name).wallets) for name in ("nobody", "somebody")]
    assert kept == [0, 1]


async def test_wallets_that_are_locked_for_ever_do_not_keep_others_from_being_forgotten(store, clock):
    names = [f"player-{n}" for n in range(999) if store.partition(f"player-{n}") == store.partition("player-7")][:103]
    for name in names:
        await store.lock(name, "USDT", Lock("aml", None if name != names[-1] else clock() + minutes(1)))
        clock.pass_(seconds(0.001))
    for hours in (25, 25):
        clock.pass_(minutes(60 * hours))
        await tended(store, clock)

    kept = [await store._calls.command("EXISTS", store._wallets(name).wallets) for name in names]
    assert kept == [1] * 102 + [0]


async def test_what_was_read_of_another_wallet_is_not_known_of_the_one_that_has_its_name_now(store):
    await reads(store, {"USDT": fed("1000"), "BTC": fed("2")}, whose="rich")
    assert await why(store, whose="rich") == "OK"

    assert await why(store, whose="poor") == "BALANCE_NEVER_SEEN"
    assert await why(store, whose="poor", asset="ETH") == "BALANCE_NEVER_SEEN", "nor what it has not"
    refused = await store.hold(ask("500", "a", whose="poor"), TERMS)
    assert (refused.reason, refused.balance.last_seen) == ("BALANCE_NEVER_SEEN", None)

    # Its reading may be one of a few assets only.
    await reads(store, {"USDT": fed("5")}, began=NOON + seconds(1), whose="poor")
    assert await why(store, whose="poor") == "OK"
    assert await why(store, whose="poor", asset="BTC") == "ASSET_UNKNOWN"
    assert await why(store, whose="rich") == "BALANCE_NEVER_SEEN", "a process that has not heard of it yet"
    # An answer that was under way when the name was given to another wallet.
    await reads(store, {"USDT": fed("1000")}, began=NOON + seconds(2), whose="rich")
    assert await why(store, whose="poor", asset="USDT") == "BALANCE_NEVER_SEEN"


async def test_what_is_held_under_a_name_goes_on_counting_for_whatever_wallet_has_it(store):
    await reads(store, {"USDT": fed("10")}, whose="old")
    await store.hold(ask("6", "a", whose="old"), TERMS)

    await reads(store, {"USDT": fed("10")}, began=NOON + seconds(1), whose="new")

    assert (await store.check(ask("5", whose="new"), TERMS)).reason == "INSUFFICIENT_FUNDS"
    assert (await store.commit_hold("casino", "a", None, TERMS)).outcome == "done"


@pytest.mark.parametrize("asked", ["USDT", "USDT@TRX"])
async def test_what_is_held_before_an_asset_s_network_is_told_counts_afterwards_and_is_covered(store, clock, asked):
    await reads(store, {"USDT": fed("100")}, whole=True)
    await store.hold(ask("60", "held"), TERMS)
    await store.hold(ask("30", "bet"), TERMS)
    await store.commit_hold("casino", "bet", None, TERMS)

    await reads(store, {"USDT@TRX": fed("100")}, began=NOON + seconds(1), whole=True)

    refused = await store.check(ask("11", asset=asked), TERMS)
    assert (refused.reason, refused.balance.spendable) == ("INSUFFICIENT_FUNDS", amount("10"))
    assert (await store.hold(ask("10", "new", asset=asked), TERMS)).allowed
    assert (await store.release_hold("casino", "held", TERMS)).outcome == "done"
    clock.pass_(seconds(20))
    await reads(store, {"USDT@TRX": fed("70")}, began=NOON + seconds(13), whole=True)
    assert (await store.check(ask("1", asset=asked), TERMS)).balance.spendable == amount("60")
