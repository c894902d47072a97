"""Expected transfers: a silence with a budget. Noon on the 20th is a Friday."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.engine.calendar import TimeInterval
from monitor.engine.expected import ExpectedTransfer, by_account
from monitor.model.event import Use
from monitor.model.expected import WINDOWS_KEPT
from monitor.model.window import micros
from tests.builders import NOON, minutes
from tests.facts import Watched, answer, event, policy, rule, snapshot
from tests.store.test_life_survives import restarted

DAY = timedelta(days=1)
INTERVALS = {
    "noon": [TimeInterval.model_validate({"times": ["12:00-13:00"], "weekdays": ["fri"]})],
    "daily": [TimeInterval()],
}


def payroll(**settings):
    said = {"name": "payroll", "account": "hot-usdt", "asset": "USDT", "up_to": 100, "active": ["noon"], **settings}
    return ExpectedTransfer.model_validate(said)


def watched(*rules, transfers=(), **settings):
    expected = by_account(transfers or [payroll()], INTERVALS)
    return Watched(rules, policy=policy(expected=expected), **settings)


def sees(one, now, *events):
    return one.see(answer(snapshot(at=now), events=events), now)


OUT = rule("large_outflow", above=50)
WITHIN = rule("large_outflow", above=50, within="1h", alert="Within")


def test_case_31_it_consumes_its_budget_and_only_the_excess_is_judged():
    one = watched(OUT)

    sees(one, NOON + minutes(1), event("60", name="a", at=NOON))
    sees(one, NOON + minutes(2), event("70", name="b", at=NOON + minutes(1)))
    sees(one, NOON + minutes(3), event("60", name="c", at=NOON + minutes(2)))

    assert [(told.event.id, told.value) for _, _, told in one.told] == [("c", 60)]
    assert [each.unexpected for each in one.stored] == [0, 30, 60]
    assert [each.amount for each in one.stored] == [60, 70, 60], "the ledger says what really moved"


def test_case_31_an_alert_says_what_was_expected_of_it():
    one = watched(OUT, transfers=[payroll(up_to=180_000)])

    sees(one, NOON, event("180051", name="a"))

    [(_, _, told)] = one.told
    assert told.value == 51
    assert told.annotations["summary"] == (
        "hot-usdt USDT 180051 went out, 180000 of it expected (payroll): 51 is above 50"
    )


def test_case_31_every_use_is_recorded_with_the_movement_that_used_it():
    one = watched(transfers=[payroll(), payroll(name="rent", up_to=5)])

    sees(one, NOON + minutes(1), event("103", name="a"))

    window = micros(NOON)
    assert one.stored[0].expected == (Use("payroll", Decimal(100), window), Use("rent", Decimal(3), window))
    assert {name: used[window].amount for name, used in one.record.budgets.items()} == {"payroll": 100, "rent": 3}


def test_case_31_an_unused_window_expires():
    one = watched(OUT)

    sees(one, NOON, event("10", name="a"))
    sees(one, NOON + 7 * DAY, event("160", name="b", at=NOON + 7 * DAY))

    assert [(told.event.id, told.value) for _, _, told in one.told] == [("b", 60)], "100 of it, not 190, were expected"


def test_case_31_a_window_of_the_rule_counts_only_the_excess():
    one = watched(WITHIN)

    sees(one, NOON, event("90", name="a"))
    assert one.told == []
    sees(one, NOON + minutes(1), event("70", name="b", at=NOON + minutes(1)))

    [(_, news, told)] = one.told
    assert (news, told.value) == ("firing", 60)
    assert told.annotations["summary"].endswith("above 50, besides what was expected (payroll)")


def test_case_31_a_ring_that_is_rebuilt_and_the_exact_sum_count_the_same_excess():
    one = watched(WITHIN)
    sees(one, NOON, event("90", name="a"))
    sees(one, NOON + minutes(2), event("70", name="b", at=NOON + minutes(1.7)))
    kept = [ring.sums for ring in one.record.flows.values()]

    one.record = replace(one.record, flows={}, coverage={})
    sees(one, NOON + minutes(2))

    assert [ring.sums for ring in one.record.flows.values()] == kept
    assert len(one.needs) == 1
    sees(one, NOON + minutes(61.4))
    assert len(one.needs) == 2, "the oldest bucket straddles the window's start: the events decide"
    assert one.record.alerts[0].value == 60


@pytest.mark.parametrize(
    ("movement", "why"),
    [
        pytest.param(event("60", at=NOON - minutes(1)), "before the window", id="before"),
        pytest.param(event("60", at=NOON + minutes(60)), "after the window", id="after"),
        pytest.param(event("60", asset="USDC"), "another asset", id="asset"),
        pytest.param(event("60", kind="trade"), "no movement of money", id="kind"),
    ],
)
def test_what_is_not_of_its_sort_uses_nothing(movement, why):
    one = watched(rule("large_outflow", above=50, kinds=["withdraw", "trade"]))

    sees(one, NOON + minutes(61), movement)

    assert [told.value for _, _, told in one.told] == [60], why
    assert one.record.budgets == {}


def test_a_bare_asset_stands_for_all_its_networks_and_they_share_the_budget():
    one = watched(OUT)

    sees(one, NOON, event("70", name="a", asset="USDT@TRX"), event("90", name="b", asset="USDT@ETH"))

    assert [(told.event.id, told.value) for _, _, told in one.told] == [("b", 60)]


def test_money_that_comes_in_is_none_of_its_business():
    one = watched(rule("large_inflow", above=50), rule("large_inflow", above=50, within="1h", net=True, alert="Net"))

    sees(one, NOON, event("60", "in", name="a"), event("100", name="b"))

    assert [told.rule for _, _, told in one.told] == ["Tested"], "net of the payroll nothing came in"


def test_a_movement_that_is_inferred_uses_the_budget_too():
    one = watched(OUT).reads("1000 840")

    assert [told.value for _, _, told in one.told] == [60]


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        (("0xPAY1",), 90),
        (("0xPay1", "0XPAY2"), 90),
        (("0xPAY1", "0xTHIEF"), 0),
        ((), 0),
    ],
)
def test_with_addresses_only_what_went_there_and_nowhere_else_is_expected(to, expected):
    one = watched(transfers=[payroll(to=["0xpay1", "0xpay2"])])

    sees(one, NOON, event("90", to=to))

    assert one.stored[0].amount - one.stored[0].unexpected == expected


@pytest.mark.parametrize(
    ("before", "after", "covered"),
    [
        (-10, 0, True),
        (59, 61, True),
        (-10, 70, True),
        (60, 61, False),
        (-10, -1, False),
        (3 * 24 * 60, 10 * 24 * 60, True),
        (3 * 24 * 60, 6 * 24 * 60, False),
    ],
)
def test_a_movement_that_is_only_noticed_may_have_been_at_any_time_since_the_reading_before(before, after, covered):
    """Paid at 12:59:30 and read at 13:01, or during an outage: it is the payroll all the same."""
    one = watched(OUT)
    for minute, total in ((before, "100"), (after, "30")):
        now = NOON + minutes(minute)
        one.see(answer({"USDT": total}, at=now), now)

    assert [news for _, news in one.news] == ([] if covered else ["event"])


def test_what_is_found_late_uses_the_budget_of_the_window_it_occurred_in():
    one = watched(OUT)
    sees(one, NOON + 7 * DAY, event("100", name="new", at=NOON + 7 * DAY))

    sees(one, NOON + 7 * DAY + minutes(1), event("100", name="old", at=NOON, late=True))

    assert one.told == []


def test_what_is_found_so_late_that_its_window_may_be_forgotten_is_judged_in_full():
    one = watched(OUT, transfers=[payroll(active=["daily"])])
    for day in range(1, WINDOWS_KEPT + 1):
        sees(one, NOON + day * DAY, event("1", name=f"e{day}", at=NOON + day * DAY))

    sees(one, NOON + 20 * DAY, event("60", name="old", at=NOON, late=True))

    assert [told.event.id for _, _, told in one.told] == ["old"]
    assert len(one.record.budgets["payroll"]) == WINDOWS_KEPT


def test_a_budget_that_is_no_longer_configured_is_dropped_and_one_that_was_raised_has_more_left():
    one = watched()
    sees(one, NOON, event("100", name="a"))

    one.policy = watched(transfers=[payroll(up_to=110)]).policy
    sees(one, NOON, event("100", name="b"))
    assert one.stored[1].expected == (Use("payroll", Decimal(10), micros(NOON)),)

    one.policy = policy()
    sees(one, NOON)
    assert one.record.budgets == {}


@given(st.lists(st.tuples(st.integers(0, 70), st.integers(1, 60)), max_size=20))
def test_case_31_repeats_and_restarts_use_no_budget_twice(movements):
    """The budget is a state of the record: deciding again uses it no second time, and a restart forgets none."""
    steady, shaken = watched(OUT, WITHIN), watched(OUT, WITHIN)

    for number, (minute, amount) in enumerate(sorted(movements)):
        now = NOON + minutes(minute)
        reading = answer(snapshot(at=now), events=(event(str(amount), name=f"e{number}", at=now),))
        steady.see(reading, now)
        assert shaken.decided(reading, now) == shaken.decided(reading, now)
        shaken.see(reading, now)
        shaken.record = restarted(shaken.record)

    assert shaken.record == steady.record
    assert shaken.told == steady.told
    covered = sum(each.amount - each.unexpected for each in steady.stored)
    assert covered == min(100, sum(amount for minute, amount in movements if minute < 60))
