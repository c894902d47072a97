"""Sums over accounts, on every store: what is read is newer than what is judged, and each movement counts once."""

import pytest

from monitor.engine.watch import Watch
from monitor.errors import ProviderUnreachable
from monitor.model.alert import State
from monitor.rules.contributors import contributors_of
from tests.builders import NOON, minutes, seconds
from tests.facts import account, event, policy, rule
from tests.office import COLD, HOT, HOT2, Office, drain, low


@pytest.fixture
def office(open_store, clock):
    async def open_office(*rules, accounts=(HOT, HOT2, COLD)):
        return Office(await open_store(), clock, rules, accounts)

    return open_office


async def test_a_sum_over_accounts_fires_and_resolves_as_one_alert(office):
    one = await office(low())
    await one.reads("hot-1", {"USDT": "60"})
    await one.reads("hot-2", {"USDT": "70"})
    await one.reads("cold-1", {"USDT": "1"})
    assert await one.judges() == []

    await one.reads("hot-2", {"USDT": "30"})
    assert await one.judges() == [("firing", "USDT", 90)]
    [alert] = await one.alerts()
    assert alert.labels == {"asset": "USDT"}

    await one.reads("hot-1", {"USDT": "100"})
    assert await one.judges() == [("resolved", "USDT", 130)]


async def test_case_20_the_last_value_of_an_account_counts_until_it_is_stale_then_the_sum_is_open(office, clock):
    one = await office(low())
    await one.reads("hot-1", {"USDT": "10"})
    await one.reads("hot-2", {"USDT": "30"})
    assert await one.judges() == [("firing", "USDT", 40)]

    await one.reads("hot-2", ProviderUnreachable("away"))
    clock.now += minutes(2)
    await one.reads("hot-1", {"USDT": "11"})
    assert await one.judges() == []
    [alert] = await one.alerts()
    assert (alert.value, alert.data) == (41, "ok")

    clock.now += minutes(2)
    await one.reads("hot-1", {"USDT": "12"})
    assert await one.judges() == []
    [alert] = await one.alerts()
    assert (alert.state, alert.data, alert.details["missing"]) == (State.FIRING, "unknown", "hot-2")

    # What is known is enough by itself.
    await one.reads("hot-1", {"USDT": "500"})
    assert await one.judges() == [("resolved", "USDT", 500)]


async def test_case_20_who_is_told_of_a_sum_is_told_what_it_is_made_of_and_what_is_missing(office, clock):
    one = await office(rule("high_balance", above=100, aggregate={"by": ["asset"]}, match={"role": "hot"}))
    await one.reads("hot-1", {"USDT": "10"})
    await one.reads("hot-2", {"USDT": "30"})
    assert await one.judges() == []
    clock.now += minutes(4)

    # The other one is too old to be counted on, but less than nothing it cannot be.
    await one.reads("hot-1", {"USDT": "500"})
    polled = await one.judged()

    [row] = polled.commit.rows
    assert (row.news, row.entry.value) == ("firing", 500)
    assert row.entry.annotations["summary"].endswith("(hot-1 500; missing: hot-2)")
    [alert] = await one.alerts()
    ages = [(part["account"], part["age"]) for part in contributors_of(alert.details, clock())]
    assert ages == [("hot-1", minutes(0)), ("hot-2", minutes(4))]


async def test_case_52_a_sum_that_is_told_apart_by_other_labels_closes_and_opens_at_once(office):
    first = await office(low())
    await first.reads("hot-1", {"USDT": "10"})
    await first.reads("hot-2", {"USDT": "30"})
    assert await first.judges() == [("firing", "USDT", 40)]

    edited = await office(low(aggregate={"by": ["role", "asset"]}))
    polled = await edited.judged()

    assert [(row.news, row.entry.reason, dict(row.entry.labels)) for row in polled.commit.rows] == [
        ("firing", None, {"role": "hot"}),
        ("resolved", "superseded", {}),
    ]
    assert len({target.group for row in polled.commit.rows for target in row.targets}) == 1
    assert await edited.judges() == []


async def test_an_account_that_comes_back_without_a_change_counts_again(office, clock):
    one = await office(low())
    await one.reads("hot-1", {"USDT": "10"})
    await one.reads("hot-2", {"USDT": "30"})
    await one.judges()
    clock.now += minutes(5)
    await one.judges()
    assert (await one.alerts())[0].data == "unknown"

    await one.reads("hot-1", {"USDT": "10"})
    await one.reads("hot-2", {"USDT": "30"})
    await one.judges()

    [alert] = await one.alerts()
    assert (alert.data, alert.value) == ("ok", 40)


async def test_a_process_that_starts_later_sums_up_what_is_there_and_keeps_up(office, clock):
    first = await office(low())
    await first.reads("hot-1", {"USDT": "10"})
    await first.reads("hot-2", {"USDT": "30"})
    await first.judges()

    second = await office(low())
    assert await second.judges() == []
    assert (await second.alerts())[0].value == 40
    await first.reads("hot-2", {"USDT": "35"})
    await second.judges()
    assert (await second.alerts())[0].value == 45
    await first.judges()
    assert (await first.alerts())[0].value == 45


async def test_an_account_that_was_never_read_leaves_a_sum_open_ended(office):
    one = await office(low())
    await one.reads("hot-1", {"USDT": "10"})

    assert await one.judges() == []

    await one.reads("hot-2", {"USDT": "10"})
    assert await one.judges() == [("firing", "USDT", 20)]


async def test_a_declared_asset_that_never_came_is_unknown_not_zero(office):
    declared = account("hot-1", labels={"role": "hot"}, assets=("USDT", "BTC"))
    one = await office(low(), accounts=(declared,))
    await one.reads("hot-1", {"USDT": "10"})

    assert await one.judges() == [("firing", "USDT", 10)]


async def test_case_54_members_that_are_gone_leave_the_sum_and_the_last_one_closes_its_alert(office):
    first = await office(low())
    await first.reads("hot-1", {"USDT": "10"})
    await first.reads("hot-2", {"BTC": "10"})
    assert await first.judges() == [("firing", "BTC", 10), ("firing", "USDT", 10)]

    second = await office(low(), accounts=(HOT, COLD))

    assert await second.judges() == [("resolved", "BTC", 10)]
    [alert] = await second.alerts()
    assert alert.subject == "USDT"


async def test_sums_by_a_label_are_told_apart_by_it(office):
    one = await office(low(match={}, aggregate={"by": ["role", "asset"]}))
    for name, amount in (("hot-1", "60"), ("hot-2", "70"), ("cold-1", "10")):
        await one.reads(name, {"USDT": amount})

    assert await one.judges() == [("firing", "USDT", 10)]

    [alert] = await one.alerts()
    assert alert.labels == {"role": "cold", "asset": "USDT"}


async def test_outflows_of_several_accounts_add_up_and_each_counts_once(office, clock):
    one = await office(drain())
    for name in ("hot-1", "hot-2", "cold-1"):
        await one.reads(name, {"USDT": "1000"})
    assert await one.judges() == []

    await one.reads("hot-1", {"USDT": "940"})
    assert await one.judges() == []
    await one.reads("hot-2", {"USDT": "950"})
    assert await one.judges() == [("firing", "USDT", 110)]
    assert await one.judges() == []
    assert (await one.alerts())[0].value == 110

    again = await office(drain())
    await again.judges()
    assert (await again.alerts())[0].value == 110

    clock.now += minutes(61)
    for name, left in (("hot-1", "940"), ("hot-2", "950"), ("cold-1", "1000")):
        await one.reads(name, {"USDT": left})
    assert await one.judges() == [("resolved", "USDT", 0)]


async def test_a_flow_alert_holds_while_a_member_cannot_be_read(office, clock):
    one = await office(drain())
    for name in ("hot-1", "hot-2", "cold-1"):
        await one.reads(name, {"USDT": "1000"})
    await one.reads("hot-1", {"USDT": "800"})
    assert await one.judges() == [("firing", "USDT", 200)]
    clock.now += minutes(61)
    await one.reads("hot-1", {"USDT": "800"})
    await one.reads("hot-2", {"USDT": "1000"})

    assert await one.judges() == []
    assert (await one.alerts())[0].data == "unknown"

    await one.reads("cold-1", {"USDT": "1000"})
    assert await one.judges() == [("resolved", "USDT", 0)]


async def test_a_threshold_within_the_bounds_of_a_sum_is_decided_by_the_movements_themselves(office, clock):
    one = await office(drain())
    for name in ("hot-1", "hot-2", "cold-1"):
        await one.reads(name, {"USDT": "1000"})
    clock.now += seconds(10)
    await one.reads("hot-1", {"USDT": "940"})
    clock.now += seconds(40)
    await one.reads("hot-2", {"USDT": "950"})
    assert await one.judges() == [("firing", "USDT", 110)]

    # The first movement has just left the window; its bucket has not.
    clock.now += minutes(60) - seconds(39)
    for name, left in (("hot-1", "940"), ("hot-2", "950"), ("cold-1", "1000")):
        await one.reads(name, {"USDT": left})

    assert await one.judges() == [("resolved", "USDT", 50)]


async def test_an_edited_window_is_counted_anew_from_what_is_kept(office, clock):
    one = await office(drain(within="2h"))
    for name in ("hot-1", "hot-2", "cold-1"):
        await one.reads(name, {"USDT": "1000"})
    await one.reads("hot-1", {"USDT": "940"})
    clock.now += minutes(1)
    await one.reads("hot-2", {"USDT": "950"})
    assert await one.judges() == [("firing", "USDT", 110)]

    edited = await office(drain(within="1h"))
    assert await edited.judges() == []
    assert (await edited.alerts())[0].value == 110


async def test_case_54_what_left_accounts_that_are_gone_counts_no_more(office, clock):
    first = await office(drain())
    for name in ("hot-1", "hot-2", "cold-1"):
        await first.reads(name, {"USDT": "1000"})
    await first.reads("hot-1", {"USDT": "890"})
    await first.reads("hot-2", {"USDT": "940"})
    assert await first.judges() == [("firing", "USDT", 170)]
    clock.now += minutes(1)

    second = await office(drain(), accounts=(HOT2, COLD))

    assert await second.judges() == [("resolved", "USDT", 60)]
    clock.now += minutes(1)
    await second.reads("cold-1", {"USDT": "950"})
    assert await second.judges() == [("firing", "USDT", 110)]


async def test_movements_told_by_a_ledger_count_like_inferred_ones(office):
    one = await office(drain(kinds=["withdraw"]))
    for name in ("hot-1", "hot-2", "cold-1"):
        await one.reads(name, ({"USDT": "1000"}, ()))
    moves = (event("70", name="e1"), event("500", name="e2", kind="fee"), event("60", name="e3"))
    await one.reads("hot-1", ({"USDT": "370"}, moves))

    assert await one.judges() == [("firing", "USDT", 130)]


def test_an_account_is_stamped_only_for_rules_that_are_over_it():
    watch = Watch(policy("ops"), (low(), drain(match={"role": "cold"})), lambda one, now: NOON)

    assert watch.sums_over(HOT) == ("aggregate:Tested",)
    assert watch.summing(HOT) == (minutes(3), None)
    assert watch.summing(COLD).moves == minutes(120)
    assert watch.sums_over(account("other", labels={"role": "x"})) == ()
