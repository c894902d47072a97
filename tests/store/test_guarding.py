"""The guard's wallets: two bets never get the same money, and every answer can be repeated."""

import asyncio

import pytest

from monitor.guard.reasons import REASONS
from monitor.store import functions
from tests.builders import NOON, minutes, seconds
from tests.guard.asks import amount, ask, fed, terms
from tests.guard.readings import reads

TERMS = terms()


@pytest.fixture
async def guard(store):
    await reads(store, {"USDT": fed("100")})
    return store


async def balance(store, name="USDT"):
    return (await store.check(ask("0", asset=name), TERMS)).balance


async def test_what_is_held_cannot_be_held_again(guard):
    first = await guard.hold(ask("60", "a"), TERMS)
    second = await guard.hold(ask("60", "b"), TERMS)

    assert (first.reason, second.reason) == ("OK", "INSUFFICIENT_FUNDS")
    assert first.balance.spendable == second.balance.spendable == amount("40")


async def test_case_57_of_fifty_bets_at_once_exactly_one_wins(open_store):
    stores = [await open_store() for _ in range(3)]
    await reads(stores[0], {"USDT": fed("150")})

    found = await asyncio.gather(*(stores[i % 3].hold(ask("100", f"bet-{i}"), TERMS) for i in range(50)))

    assert sorted(one.reason for one in found) == ["INSUFFICIENT_FUNDS"] * 49 + ["OK"]
    assert (await balance(stores[0])).held == amount("100")


async def test_case_57_a_bet_that_is_sent_a_hundred_times_at_once_is_held_once(open_store):
    stores = [await open_store() for _ in range(3)]
    await reads(stores[0], {"USDT": fed("150")})

    found = await asyncio.gather(*(stores[i % 3].hold(ask("100"), TERMS) for i in range(100)))

    assert {one.reason for one in found} == {"OK"}
    assert sorted(one.replayed for one in found) == [False] + [True] * 99
    assert (await balance(stores[0])).held == amount("100")


async def test_a_hold_tells_how_it_stands_and_until_when(guard):
    found = await guard.hold(ask("12.50"), TERMS)

    assert found.hold == (await guard.find_hold("casino", "bet-1", TERMS))[0]
    assert (found.hold.state, found.hold.amount, found.hold.decimals) == ("held", amount("12.5"), 2)
    assert (found.hold.expires_at, found.hold.decision, found.hold.account) == (NOON + seconds(30), "dec_1", "player-7")
    assert (found.balance.last_seen, found.balance.held, found.balance.as_of) == (amount("100"), amount("12.5"), NOON)
    assert found.now == NOON


async def test_a_check_reserves_nothing(guard):
    assert (await guard.check(ask("100"), TERMS)).allowed
    assert (await balance(guard)).held == 0


async def test_a_check_of_a_wallet_answers_what_a_hold_would(guard):
    assert not (await guard.check(ask("100.000000000000000001"), TERMS)).allowed
    await guard.hold(ask("100"), TERMS)
    assert (await guard.check(ask("0.000000000000000001"), TERMS)).reason == "INSUFFICIENT_FUNDS"


async def test_the_same_bet_gets_the_same_answer_and_another_body_none(guard):
    await guard.hold(ask("60"), TERMS)

    again = await guard.hold(ask("60.00", decision="dec_2", ttl=minutes(5)), TERMS)
    other = await guard.hold(ask("61"), TERMS)

    assert (again.allowed, again.replayed, again.reused, again.hold.decision) == (True, True, False, "dec_1")
    assert (again.hold.expires_at, again.hold.decimals) == (NOON + seconds(30), 0)
    assert other.reused
    assert (await balance(guard)).held == amount("60")


@pytest.mark.parametrize("account", ["player-8", "player-9", "player-10", "player-11", "player-12"])
async def test_an_id_that_another_account_has_reserves_nothing_here(guard, account):
    await reads(guard, {"USDT": fed("100")}, account)
    await guard.hold(ask("60"), TERMS)

    other = await guard.hold(ask("60", account=account), TERMS)
    again = await guard.hold(ask("60", account=account), TERMS)

    assert (other.reused, again.reused, other.hold.account) == (True, True, "player-7")
    assert (await guard.check(ask("100", account=account), TERMS)).allowed
    assert (await guard.commit_hold("casino", "bet-1", None, TERMS)).hold.account == "player-7"


async def test_callers_do_not_share_ids(guard):
    await guard.hold(ask("10"), TERMS)

    other = await guard.hold(ask("20", caller="sport"), TERMS)

    assert (other.reason, other.replayed, other.reused) == ("OK", False, False)
    assert (await guard.release_hold("sport", "bet-1", TERMS)).hold.amount == amount("20")
    assert (await balance(guard)).held == amount("10")


async def test_a_refusal_sticks_to_its_id_when_there_is_money_again(guard, clock):
    await guard.hold(ask("160"), TERMS)
    clock.pass_(seconds(1))
    await reads(guard, {"USDT": fed("1000")})

    again = await guard.hold(ask("160"), TERMS)

    assert (again.reason, again.replayed, again.hold.state) == ("INSUFFICIENT_FUNDS", True, "denied")


async def test_a_refusal_of_an_unknown_account_sticks_too(guard):
    unknown = ask("1", account="nobody", early="ACCOUNT_UNKNOWN")
    await guard.hold(unknown, TERMS)
    await reads(guard, {"USDT": fed("100")}, "nobody")

    again = await guard.hold(unknown._replace(early=None), TERMS)

    assert (again.reason, again.replayed) == ("ACCOUNT_UNKNOWN", True)


async def test_a_release_before_its_bet_refuses_the_bet(guard):
    assert (await guard.release_hold("casino", "bet-1", TERMS)).outcome == "done"

    late = await guard.hold(ask(), TERMS)

    assert (late.reason, late.replayed, late.reused, late.hold.state) == ("HOLD_TOMBSTONED", False, False, "tombstone")
    assert (await guard.commit_hold("casino", "bet-1", None, TERMS)).outcome == "hold-already-released"
    assert (await guard.settle_hold("casino", "bet-1", TERMS)).outcome == "hold-already-released"
    assert (await guard.release_hold("casino", "bet-1", TERMS)).outcome == "done"
    assert (await balance(guard)).held == 0


async def test_a_released_hold_gives_its_money_back_once(guard):
    await guard.hold(ask("60", "a"), TERMS)
    await guard.hold(ask("40", "b"), TERMS)

    outcomes = [(await guard.release_hold("casino", "a", TERMS)).outcome for _ in range(3)]

    assert outcomes == ["done"] * 3
    assert (await balance(guard)).held == amount("40")
    assert (await guard.hold(ask("60", "a"), TERMS)).reason == "HOLD_TOMBSTONED"
    assert (await guard.commit_hold("casino", "a", None, TERMS)).outcome == "hold-already-released"


async def test_a_commit_takes_what_was_bet_and_returns_the_rest(guard):
    await guard.hold(ask("60"), TERMS)

    more = await guard.commit_hold("casino", "bet-1", amount("60.1"), TERMS)
    done = await guard.commit_hold("casino", "bet-1", amount("50"), TERMS)
    again = await guard.commit_hold("casino", "bet-1", amount("50.0"), TERMS)
    other = await guard.commit_hold("casino", "bet-1", None, TERMS)
    back = await guard.release_hold("casino", "bet-1", TERMS)

    assert [one.outcome for one in (more, done, again, other, back)] == [
        "commit-exceeds-hold", "done", "done", "hold-already-committed", "hold-already-committed",
    ]  # fmt: skip
    assert (done.hold.state, done.hold.committed, done.hold.posted_at) == (
        "committed",
        amount("50"),
        NOON + seconds(10),
    )
    held = await balance(guard)
    assert (held.held, held.unsettled, held.spendable) == (0, amount("50"), amount("50"))


async def test_nothing_is_known_of_what_was_never_held_or_was_refused(guard):
    await guard.hold(ask("160", "denied"), TERMS)

    for name in ("denied", "never"):
        assert (await guard.commit_hold("casino", name, None, TERMS)).outcome == "hold-unknown"
        assert (await guard.settle_hold("casino", name, TERMS)).outcome == "hold-unknown"
    assert (await guard.find_hold("casino", "never", TERMS))[0] is None
    assert (await guard.release_hold("casino", "denied", TERMS)).hold.state == "denied"


async def test_a_hold_never_expires_early_and_is_final_after(guard, clock):
    await guard.hold(ask("60"), TERMS)
    clock.pass_(seconds(29.999999))
    assert (await balance(guard)).held == amount("60")

    clock.pass_(seconds(0.000001))

    assert (await balance(guard)).held == 0
    assert (await guard.find_hold("casino", "bet-1", TERMS))[0].state == "expired"
    assert (await guard.hold(ask("60"), TERMS)).reason == "HOLD_TOMBSTONED"
    assert (await guard.commit_hold("casino", "bet-1", None, TERMS)).outcome == "hold-expired"
    assert (await guard.release_hold("casino", "bet-1", TERMS)).outcome == "done"
    assert (await balance(guard)).unsettled == 0


async def test_more_holds_than_one_call_sweeps_are_given_back_by_the_next(guard, clock):
    for number in range(40):
        await guard.hold(ask("1", f"bet-{number}"), TERMS)
    clock.pass_(minutes(1))

    held = [(await balance(guard)).held for _ in range(3)]

    assert held == [amount("24"), amount("8"), 0]


@pytest.mark.parametrize(("most", "reason"), [(1000, "INSUFFICIENT_FUNDS"), (40, "TOO_MANY_HOLDS")])
async def test_a_bet_is_not_refused_for_holds_that_are_over_however_many(guard, clock, most, reason):
    many = terms(max_holds=most)
    for number in range(40):
        await guard.hold(ask("2", f"bet-{number}"), many)
    assert (await guard.hold(ask("100", "early"), many)).reason == reason
    clock.pass_(minutes(1))

    assert (await guard.check(ask("100"), many)).allowed
    found = await guard.hold(ask("100", "late"), many)

    assert (found.reason, found.balance.held) == ("OK", amount("100"))


async def test_a_repeat_shows_what_is_free_again_by_now(guard, clock):
    await guard.hold(ask("60", "over"), TERMS)
    await guard.hold(ask("20", "committed"), TERMS)
    await guard.commit_hold("casino", "committed", None, TERMS)
    await guard.hold(ask("10", "kept", ttl=minutes(5)), TERMS)
    clock.pass_(minutes(1))
    await reads(guard, {"USDT": fed("80")})

    again = await guard.hold(ask("10", "kept"), TERMS)

    assert (again.replayed, again.balance.held, again.balance.unsettled) == (True, amount("10"), 0)


async def test_settled_after_expiry_is_refused_and_counts_all_the_same(guard, clock):
    await guard.hold(ask("60"), TERMS)
    clock.pass_(minutes(1))

    late = [await guard.settle_hold("casino", "bet-1", TERMS) for _ in range(2)]

    assert [(one.outcome, one.late, one.hold.state) for one in late] == [("hold-expired", True, "expired")] * 2
    assert (await balance(guard)).unsettled == amount("60")
    assert (await guard.commit_hold("casino", "bet-1", None, TERMS)).outcome == "hold-expired"
    await reads(guard, {"USDT": fed("40")}, began=NOON + minutes(1) + seconds(2.000001))
    assert (await balance(guard)).spendable == amount("40")


async def test_settled_commits_what_is_held_and_then_says_it_is_booked(guard, clock):
    await guard.hold(ask("60"), TERMS)

    done = [await guard.settle_hold("casino", "bet-1", TERMS) for _ in range(2)]

    assert [(one.outcome, one.hold.state) for one in done] == [("done", "settled")] * 2
    assert (done[0].hold.committed, done[0].hold.posted_at) == (amount("60"), NOON)
    assert (await balance(guard)).unsettled == amount("60")


async def test_a_committed_amount_counts_until_a_reading_began_after_posting_and_lag(guard, clock):
    await guard.hold(ask("60"), TERMS)
    await guard.commit_hold("casino", "bet-1", amount("50"), TERMS)
    clock.pass_(minutes(1))

    await reads(guard, {"USDT": fed("100")}, began=NOON + seconds(12))
    assert (await balance(guard)).spendable == amount("50")

    await reads(guard, {"USDT": fed("50")}, began=NOON + seconds(12.000001))
    assert (await balance(guard)).spendable == amount("50")
    assert (await guard.find_hold("casino", "bet-1", TERMS))[0].state == "covered"
    assert (await guard.settle_hold("casino", "bet-1", TERMS)).outcome == "done"
    assert (await balance(guard)).unsettled == 0


async def test_where_only_settled_says_so_no_reading_covers_before(guard, clock):
    only = terms(posting_delay=None)
    await guard.hold(ask("60"), only)
    await guard.commit_hold("casino", "bet-1", None, only)
    clock.pass_(minutes(60))
    await reads(guard, {"USDT": fed("100")})
    assert (await balance(guard)).spendable == amount("40")

    await guard.settle_hold("casino", "bet-1", only)
    clock.pass_(seconds(3))
    await reads(guard, {"USDT": fed("40")})

    assert (await balance(guard)).spendable == amount("40")


async def test_more_debits_than_one_call_covers_are_covered_by_the_next(store, clock):
    await reads(store, {"USDT": fed("1000"), "BTC": fed("5")})
    many = terms(max_holds=1000)
    await store.hold(ask("1", "other", asset="BTC"), many)
    await store.commit_hold("casino", "other", None, many)
    for number in range(300):
        await store.hold(ask("1", f"bet-{number}"), many)
        await store.commit_hold("casino", f"bet-{number}", None, many)
    clock.pass_(minutes(1))
    await reads(store, {"USDT": fed("700")})

    unsettled = [(await balance(store)).unsettled for _ in range(2)]

    assert unsettled == [amount("44"), 0]
    assert (await balance(store, "BTC")).unsettled == amount("1")


async def test_a_win_counts_when_a_reading_shows_it(guard, clock):
    await guard.hold(ask("100"), TERMS)
    assert (await guard.hold(ask("1", "b"), TERMS)).reason == "INSUFFICIENT_FUNDS"
    clock.pass_(seconds(1))

    await reads(guard, {"USDT": fed("300")})

    assert (await guard.hold(ask("200", "c"), TERMS)).allowed
    assert (await guard.hold(ask("0.01", "d"), TERMS)).reason == "INSUFFICIENT_FUNDS"


async def test_less_than_is_promised_already_allows_nothing(guard, clock):
    await guard.hold(ask("60"), TERMS)
    clock.pass_(seconds(1))
    await reads(guard, {"USDT": fed("-7.5")})

    found = await guard.hold(ask("0.01", "b"), TERMS)

    assert (found.reason, found.balance.last_seen, found.balance.spendable) == ("INSUFFICIENT_FUNDS", 0, 0)


async def test_amounts_are_exact_to_the_last_of_45_digits(store):
    most = "9" * 27 + "." + "9" * 18
    await reads(store, {"WEI": fed(most)})

    found = await store.hold(ask("9" * 27 + "." + "9" * 17 + "8", "a", asset="WEI"), TERMS)
    rest = [await store.hold(ask("0." + "0" * 17 + digit, digit, asset="WEI"), TERMS) for digit in "211"]

    assert found.allowed
    assert [one.allowed for one in rest] == [False, True, True]
    assert (rest[2].replayed, rest[2].balance.spendable) == (True, 0)


async def test_a_bare_name_finds_the_only_network(store):
    await reads(store, {"USDT@TRX": fed("100"), "BTC": fed("1")})

    bare = await store.hold(ask("60", "a"), TERMS)
    full = await store.hold(ask("60", "b", asset="USDT@TRX"), TERMS)
    same = await store.hold(ask("60", "a", asset="USDT@TRX"), TERMS)

    assert (bare.reason, bare.balance.asset, bare.hold.asset) == ("OK", "USDT@TRX", "USDT@TRX")
    assert full.reason == "INSUFFICIENT_FUNDS"
    assert (same.allowed, same.replayed) == (True, True)


async def test_a_bare_name_on_several_networks_decides_nothing(store, clock):
    await reads(store, {"USDT@TRX": fed("100")})
    await store.hold(ask("60", "before"), TERMS)
    clock.pass_(seconds(1))
    await reads(store, {"USDT@TRX": fed("100"), "USDT@ETH": fed("100")})

    found, checked = await store.hold(ask("60"), TERMS), await store.check(ask("60"), TERMS)

    assert (found.networks, found.allowed, found.hold) == (("USDT@ETH", "USDT@TRX"), False, None)
    assert (checked.networks, checked.allowed) == (("USDT@ETH", "USDT@TRX"), False)
    assert (await store.hold(ask("60", "before"), TERMS)).replayed
    assert (await store.hold(ask("60", asset="USDT@ETH"), TERMS)).allowed


async def test_an_answer_too_late_is_undone_unless_somebody_was_told(guard):
    await guard.hold(ask("10", "a", decision="d1"), TERMS)
    await guard.hold(ask("20", "b", decision="d1"), TERMS)
    await guard.hold(ask("20", "b", decision="d2"), TERMS)
    await guard.hold(ask("30", "c", decision="d1"), TERMS)

    for name, decision in (("a", "d1"), ("b", "d1"), ("c", "d2"), ("never", "d1")):
        await guard.refuse_hold("casino", name, decision, TERMS, "HOLD_TOMBSTONED")

    assert (await balance(guard)).held == amount("50")
    assert (await guard.hold(ask("10", "a"), TERMS)).reason == "HOLD_TOMBSTONED"
    assert (await guard.hold(ask("1", "never"), TERMS)).reason == "HOLD_TOMBSTONED"


async def test_a_bet_that_the_house_cannot_cover_stays_refused(guard):
    await guard.hold(ask("10", decision="d1"), TERMS)
    await guard.refuse_hold("casino", "bet-1", "d2", TERMS, "BANKROLL_INSUFFICIENT")

    again = await guard.hold(ask("10"), TERMS)

    assert (again.reason, again.replayed, again.hold.state) == ("BANKROLL_INSUFFICIENT", True, "denied")
    assert (await balance(guard)).held == 0


def test_the_functions_rank_the_reasons_as_everybody_does():
    for rank, reason in enumerate(REASONS, 1):
        assert f"{reason} = {rank}" in functions.source()


@pytest.mark.parametrize("stated", [True, False])
async def test_an_exposure_is_stated_each_time_or_never(guard, stated):
    assert (await guard.hold(ask(exposed=stated), TERMS)).allowed

    other = await guard.hold(ask(exposed=not stated), TERMS)

    assert (other.reused, other.hold.state) == (True, "held")
    assert (await guard.hold(ask(exposed=stated), TERMS)).allowed
    # Where nobody looks at it any more the bet is the same one.
    assert (await guard.hold(ask(), TERMS)).replayed
