"""Case 55: silences that nobody needs, that are forgotten, or that end before anybody expects it."""

from datetime import timedelta

import pytest

from monitor.engine.silence_check import Fires, ends_soon, firing, remarks, reminder
from monitor.model.silence import Silence
from tests.builders import NOON, minutes
from tests.facts import Watched, rule

LOW = {"rule": "Low", "account": "hedge", "asset": "USDT"}


FIVE = minutes(5)


def silence(lasts=timedelta(days=1), age=FIVE, **changes):
    start = NOON - age
    says = {"starts_at": start, "created_at": start, **changes}
    return Silence("sil_1", {"account": "hedge"}, start + lasts, "maria", "key rotation", **says)


@pytest.mark.parametrize(
    ("one", "alerts", "said"),
    [
        pytest.param(silence(), [LOW], (), id="nothing is odd"),
        pytest.param(silence(), [], ("matches nothing",), id="nothing fires"),
        pytest.param(silence(), [{**LOW, "account": "hot"}], ("matches nothing",), id="something else fires"),
        pytest.param(silence(minutes(65)), [LOW], ("ends within an hour",), id="soon over"),
        pytest.param(silence(timedelta(days=9), timedelta(days=8)), [LOW], ("older than seven days",), id="long there"),
        pytest.param(silence(age=minutes(-5)), [], (), id="one that has not begun need not match yet"),
        pytest.param(silence(minutes(5)), [], (), id="one that is over"),
    ],
)
def test_case_55_what_is_odd_about_a_silence(one, alerts, said):
    assert remarks(one, [Fires(labels, None, None) for labels in alerts], NOON) == said


@pytest.mark.parametrize(
    ("lasts", "left", "soon"),
    [
        (timedelta(days=1), minutes(61), False),
        (timedelta(days=1), minutes(60), True),
        (timedelta(hours=2), minutes(13), False),
        (timedelta(hours=2), minutes(12), True),
        (timedelta(hours=2), minutes(0), False),
    ],
)
def test_case_55_the_author_is_reminded_an_hour_before_the_end_or_in_the_last_tenth(lasts, left, soon):
    assert ends_soon(silence(lasts, lasts - left), NOON) == soon


def test_case_55_the_reminder_says_whose_silence_it_is_and_what_will_be_heard():
    held = [Fires({**LOW, "asset": asset}, None, None) for asset in ("USDT", "BTC", "", "ETH")]

    assert reminder(silence(minutes(65)), held) == (
        "the silence of maria (key rotation) ends at 2026-11-20T13:00:00Z, "
        "then Low hedge USDT, Low hedge BTC, Low hedge and 1 more will be heard"
    )


def test_only_what_fires_at_an_account_that_is_there_counts():
    low, pending = rule("low_balance", below=50), rule("low_balance", below=50, alert="Slow", for_="5m")
    life = Watched((low, pending)).reads("40")
    rules = {one.alert: one for one in (low, pending)}

    [found] = firing({life.account.name: life.account}, rules, [life.record])

    assert (found.labels["rule"], found.value) == (low.alert, 40)
    assert list(firing({}, rules, [life.record])) == []
