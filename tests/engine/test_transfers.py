"""Transfers between accounts, on every store: read at different times, by several processes, across a restart."""

import pytest

from tests.builders import NOON, minutes
from tests.facts import account, event, rule
from tests.office import Office

HOT = account("hot-usdt", labels={"role": "hot", "tier": "one"})
COLD = account("cold-1", provider="vault", labels={"role": "cold"})
BANK = account("bank-1", provider="bank", labels={"role": "other"})
TOTALS = {"hot-usdt": "1000", "cold-1": "5000", "bank-1": "0"}


@pytest.fixture
def office(open_store, clock):
    async def open_office(*rules, accounts=(HOT, COLD, BANK)):
        return Office(await open_store(), clock, rules, accounts)

    return open_office


@pytest.fixture
async def opened(office):
    """An office with one rule, where every account was read once."""

    async def open_one(tested=None, **settings):
        one = await office(tested or leaves(**settings))
        for name, total in TOTALS.items():
            await one.reads(name, {"USDT": total})
        assert await one.judges() == []
        return one

    return open_one


def leaves(kind="large_outflow", **settings):
    return rule(kind, **{"above": 100, "within": "1h", "net_internal": True, **settings})


async def news(one, clock, minute):
    clock.now = NOON + minutes(minute)
    return await one.judges()


async def test_case_30_a_sweep_from_cold_to_hot_is_no_outflow(opened, clock):
    one = await opened()

    await one.reads("cold-1", {"USDT": "4000"})
    assert await one.judges() == []
    clock.now += minutes(2)
    await one.reads("hot-usdt", {"USDT": "1999"})
    assert await one.judges() == []

    for minute in (9, 10, 11, 30, 90):
        assert await news(one, clock, minute) == []


async def test_case_30_the_end_that_is_read_first_may_be_the_destination(opened, clock):
    one = await opened()
    await one.reads("hot-usdt", {"USDT": "1999"})
    assert await one.judges() == []
    clock.now += minutes(2)
    await one.reads("cold-1", {"USDT": "4000"})

    for minute in (2, 11, 13, 30):
        assert await news(one, clock, minute) == []


async def test_case_30_a_theft_counts_after_the_limit_and_says_so(opened, clock):
    one = await opened()
    await one.reads("hot-usdt", {"USDT": "400"})

    assert await news(one, clock, 9) == []
    clock.now = NOON + minutes(10)
    await one.reads("hot-usdt", {"USDT": "400"})
    polled = await one._poll(one.judging, one.sums["aggregate:Tested"])

    [row] = polled.commit.rows
    entry = row.entry
    assert (row.news, entry.value, entry.unit) == ("firing", 600, "USDT")
    assert (entry.provider, entry.account, entry.asset) == ("casino", "hot-usdt", "USDT")
    assert entry.labels == {"role": "hot", "tier": "one"}
    assert entry.annotations["summary"] == (
        "hot-usdt USDT 600 went out within 1h, above 100; "
        "a transfer of 600 USDT from hot-usdt has not arrived within 10m"
    )
    assert await news(one, clock, 69.9) == []
    for name, total in {**TOTALS, "hot-usdt": "400"}.items():
        await one.reads(name, {"USDT": total})
    assert await news(one, clock, 70) == [("resolved", "USDT", 0)]


async def test_case_30_an_alert_says_what_else_is_in_transit(opened, clock):
    one = await opened()
    await one.reads("hot-usdt", {"USDT": "400"})
    clock.now += minutes(9)
    for left in ("390", "370", "340"):
        await one.reads("hot-usdt", {"USDT": left})
    assert await news(one, clock, 10) == [("firing", "USDT", 600)]

    [alert] = await one.alerts()

    assert alert.details["in_transit"] == "3 transfers in transit (60 USDT)"
    assert alert.details["stuck"] == "a transfer of 600 USDT from hot-usdt has not arrived within 10m"


async def test_case_30_a_spoofed_sender_hides_nothing(office, clock):
    """The thief's own account is nobody we know, whatever is said to have come in there."""
    one = await office(leaves(), accounts=(HOT, COLD))
    stranger = await office(leaves(), accounts=(HOT, COLD, account("thief")))
    for name in ("hot-usdt", "cold-1"):
        await one.reads(name, {"USDT": "1000"})
    stranger.book.words["thief"] = {"USDT": "0"}
    await stranger.reads("thief", {"USDT": "0"})
    await one.reads("hot-usdt", {"USDT": "400"})
    await stranger.reads("thief", {"USDT": "600"})
    assert await one.judges() == []

    assert await news(one, clock, 11) == [("firing", "USDT", 600)]


async def test_case_30_a_bridge_that_takes_four_hours_is_in_transit_for_five(opened, clock):
    one = await opened(settle_within="5h")
    await one.reads("cold-1", {"USDT@TRX": "5000"})
    await one.reads("cold-1", {"USDT@TRX": "4000"})
    assert await one.judges() == []
    for hour in (1, 2, 3):
        assert await news(one, clock, hour * 60) == []

    clock.now = NOON + minutes(240)
    await one.reads("bank-1", {"USDT@ETH": "0"})
    await one.reads("bank-1", {"USDT@ETH": "991"})

    for minute in (240, 299, 301, 360, 600):
        assert await news(one, clock, minute) == []


async def test_case_30_the_fee_counts_when_the_money_went(opened, clock):
    one = await opened(above=5)
    await one.reads("cold-1", {"USDT": "4000"})
    assert await one.judges() == []

    await one.reads("hot-usdt", {"USDT": "1994"})

    assert await one.judges() == [("firing", "USDT", 6)]
    [alert] = await one.alerts()
    assert alert.labels == {"provider": "vault", "account": "cold-1", "asset": "USDT"}


async def test_case_30_an_end_that_was_found_late_ends_the_alert(opened, clock):
    one = await opened(kinds=["transfer"])
    for name in ("hot-usdt", "cold-1"):
        await one.reads(name, ({"USDT": "1000"}, ()))
    gone = event("600", name="out", kind="transfer", reference="0xa")
    await one.reads("hot-usdt", ({"USDT": "400"}, (gone,)))
    assert await news(one, clock, 10) == [("firing", "USDT", 600)]

    # The ledger of the destination was behind.
    came = event("599", "in", at=NOON + minutes(1), name="in", kind="transfer", reference="0xa")
    await one.reads("cold-1", ({"USDT": "1599"}, (came,)))
    assert await news(one, clock, 12) == []

    await one.reads("bank-1", {"USDT": "0"})
    await one.reads("hot-usdt", ({"USDT": "400"}, ()))
    assert await news(one, clock, 13) == [("resolved", "USDT", 1)]


async def test_case_30_what_came_in_from_our_own_account_is_no_inflow(opened, clock):
    one = await opened(leaves("large_inflow"))
    await one.reads("cold-1", {"USDT": "4000"})
    await one.reads("hot-usdt", {"USDT": "2000"})
    assert await one.judges() == []
    assert await news(one, clock, 11) == []

    await one.reads("hot-usdt", {"USDT": "2200"})
    assert await one.judges() == []
    assert await news(one, clock, 21) == [("firing", "USDT", 200)]
    [alert] = await one.alerts()
    assert alert.details["stuck"] == (
        "a transfer of 200 USDT to hot-usdt has not been seen leaving another account within 10m"
    )


async def test_case_30_low_balance_on_the_source_still_counts(opened, clock):
    low = rule("low_balance", alert="Low", below=500)
    one = await opened()
    one.pollings["casino"].watching.rules = (low,)
    one.pollings["casino"].watching._matched.clear()

    polled = await one.reads("hot-usdt", {"USDT": "400"})
    await one.reads("cold-1", {"USDT": "5600"})

    assert [(row.news, row.entry.rule) for row in polled.commit.rows] == [("firing", "Low")]


async def test_only_what_a_rule_matches_is_judged_but_everybody_is_an_other_end(opened, clock):
    one = await opened(match={"role": "hot"})
    await one.reads("hot-usdt", {"USDT": "400"})
    await one.reads("cold-1", {"USDT": "5600"})
    await one.reads("bank-1", {"USDT": "700"})
    await one.reads("bank-1", {"USDT": "0"})

    assert await news(one, clock, 11) == []


async def test_a_restart_between_the_two_ends_changes_nothing_and_another_process_goes_on(office, opened, clock):
    first = await opened()
    await first.reads("cold-1", {"USDT": "4000"})
    assert await first.judges() == []

    second = await office(leaves())
    clock.now += minutes(3)
    await second.reads("hot-usdt", {"USDT": "2000"})
    assert await second.judges() == []
    assert await first.judges() == []
    await first.reads("hot-usdt", {"USDT": "1500"})
    assert await first.judges() == []

    third = await office(leaves())
    assert await news(third, clock, 12) == []
    assert await news(second, clock, 13) == [("firing", "USDT", 500)]
    assert await news(third, clock, 14) == []
    assert await news(first, clock, 14) == []


async def test_what_became_overdue_while_nobody_looked_is_told(opened, clock):
    one = await opened(within="1m")
    await one.reads("hot-usdt", {"USDT": "400"})
    assert await one.judges() == []

    assert await news(one, clock, 45) == [("firing", "USDT", 600)]


async def test_without_movement_for_a_day_nothing_is_remembered(opened, clock):
    one = await opened()
    await one.reads("cold-1", {"USDT": "4000"})
    await one.reads("hot-usdt", {"USDT": "1700"})
    await one.judges()
    [legs] = (await one.store.load("aggregate:Tested")).transfers.values()
    assert [leg.account for leg in legs] == ["cold-1", "hot-usdt"]
    assert await news(one, clock, 9) == []

    for minute in (11, 69, 1_449, 1_451):
        await news(one, clock, minute)

    assert (await one.store.load("aggregate:Tested")).transfers == {}


async def test_a_sum_over_accounts_leaves_out_what_stays_among_them(opened, clock):
    one = await opened(aggregate={"by": ["asset"]})
    await one.reads("cold-1", {"USDT": "4000"})
    await one.reads("hot-usdt", {"USDT": "2000"})
    await one.reads("hot-usdt", {"USDT": "1800"})

    assert await news(one, clock, 9) == []
    assert await news(one, clock, 10) == [("firing", "USDT", 200)]
    [alert] = await one.alerts()
    assert (alert.labels, alert.details["sum"]) == ({"asset": "USDT"}, "USDT of all accounts")


async def test_what_arrived_while_its_account_could_not_be_read_has_arrived(opened, clock):
    """It counts while nobody can tell; when it is noticed, it may have been there all the time."""
    one = await opened()
    clock.now += minutes(1)
    await one.reads("cold-1", {"USDT": "4000"})
    assert await news(one, clock, 11) == [("firing", "USDT", 1000)]

    clock.now = NOON + minutes(40)
    await one.reads("cold-1", {"USDT": "4000"})
    await one.reads("hot-usdt", {"USDT": "1999"})

    assert await one.judges() == [("resolved", "USDT", 1)]
    assert await news(one, clock, 60) == []
