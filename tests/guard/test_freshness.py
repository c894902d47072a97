"""How old facts may be: the borders belong to the better side."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.config.guard_settings import GuardSettings
from monitor.guard.freshness import freshness
from monitor.guard.hold import Balance
from tests.builders import minutes, seconds
from tests.guard.asks import terms

SOFT, MAX = seconds(90), seconds(150)


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        pytest.param(None, "never", id="never seen is not zero seconds old"),
        pytest.param(seconds(0), "fresh", id="this instant"),
        pytest.param(seconds(90), "fresh", id="exactly soft_age"),
        pytest.param(seconds(90.000001), "soft", id="one microsecond past soft_age"),
        pytest.param(seconds(150), "soft", id="exactly max_age"),
        pytest.param(seconds(150.000001), "stale", id="one microsecond past max_age"),
        pytest.param(minutes(24 * 60), "stale", id="a day"),
    ],
)
def test_facts_age(age, expected):
    assert freshness(age, SOFT, MAX) == expected


def test_a_request_that_tightens_max_age_below_soft_age_gets_stale_not_soft():
    assert freshness(seconds(60), SOFT, seconds(30)) == "stale"


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_facts_never_become_fresher_with_age(age, more, max_age):
    order = ("fresh", "soft", "stale")
    soft, limit = seconds(max_age * 0.6e-6), seconds(max_age * 1e-6)

    now, then = (freshness(seconds(one * 1e-6), soft, limit) for one in (age, age + more))

    assert order.index(now) <= order.index(then)


def test_the_default_soft_age_is_six_tenths_of_max_age():
    assert GuardSettings().soft == seconds(90)
    assert GuardSettings(max_age="10s").soft == seconds(6)


@given(*[st.integers(0, 10**46)] * 4)
def test_spendable_is_never_negative_and_nothing_of_what_was_never_seen(seen, held, unsettled, locked):
    balance = Balance("USDT", seen, held, unsettled, locked, None)

    assert balance.spendable == max(0, seen - held - unsettled - locked)
    assert balance._replace(last_seen=None).spendable == 0


@pytest.mark.parametrize(
    ("posting_delay", "expected"),
    [
        pytest.param(seconds(10), minutes(15) + seconds(12), id="held, committed at its end, booked, then read"),
        pytest.param(None, minutes(15) + seconds(2), id="where only `settled` says so, the longest hold alone"),
    ],
)
def test_a_quarantine_outlives_all_that_may_have_been_lost(posting_delay, expected):
    assert terms(posting_delay=posting_delay).quarantine == expected
