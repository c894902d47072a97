"""locked_funds: money that is blocked or in processing, judged like any level."""

import pytest
from pydantic import ValidationError

from tests.builders import NOON, minutes
from tests.facts import Watched, answer, blindness, outage, rule, sighting


@pytest.mark.parametrize(
    ("measure", "amounts", "bad"),
    [
        pytest.param("locked", {"locked": "0"}, None, id="nothing is locked"),
        pytest.param("locked", {"locked": "0.000000000000000001"}, "warning", id="a wei is"),
        pytest.param("locked", {"locked": "-1"}, None, id="less than nothing is odd, but not locked money"),
        pytest.param("locked", {"locked": "0", "held": "9"}, None, id="what is in processing is not locked"),
        pytest.param("held", {"locked": "9", "held": "0"}, None, id="and the other way round"),
        pytest.param("held", {"held": "9"}, "warning", id="something is in processing"),
    ],
)
def test_only_its_own_measure_above_the_threshold_is_bad(measure, amounts, bad):
    locked = rule("locked_funds", measure=measure, above=0)

    [verdict] = locked.judge(sighting({"USDT": amounts}))

    assert (verdict.bad, verdict.measure, verdict.unit) == (bad, measure, "USDT")


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param(sighting({}), id="the asset is missing"),
        pytest.param(sighting({"USDT": {"total": "9", "held": "9"}}), id="the measure is missing"),
        pytest.param(blindness(), id="an outage"),
    ],
)
def test_what_is_not_known_is_neither_locked_nor_free(facts):
    assert list(rule("locked_funds", above=0, assets=["USDT"]).judge(facts)) == []


def test_levels_and_recovery_are_those_of_a_high_balance():
    levels = {"warning": {"above": 10, "resolve_below": 5}, "critical": {"above": 100}}
    locked = rule("locked_funds", levels=levels)

    judged = {v: next(locked.judge(sighting({"USDT": {"locked": v}}))) for v in ("101", "100", "7", "4")}

    assert {value: (verdict.bad, verdict.held) for value, verdict in judged.items()} == {
        "101": ("critical", "critical"), "100": ("warning", "warning"), "7": (None, "warning"), "4": (None, None),
    }  # fmt: skip


def test_it_fires_only_after_its_for_and_an_outage_neither_counts_nor_resets():
    watched = Watched((rule("locked_funds", above=0, for_="3m"),))
    series = ["0", "50", "50", None, "50", "50", "50", "0"]

    for minute, locked in enumerate(series):
        now = NOON + minutes(minute)
        watched.see(outage(now) if locked is None else answer({"USDT": {"locked": locked}}, at=now), now)

    assert watched.news == [(6, "firing"), (7, "resolved")]
    assert [entry.annotations["summary"] for _, _, entry in watched.told] == [
        "hot-usdt USDT locked 50 is above 0",
        "hot-usdt USDT locked 0 has recovered, it was above 0",
    ]


def test_it_says_which_measure_it_reads_so_that_check_can_refuse_a_provider_without_it():
    assert rule("locked_funds", above=0).measures() == ("locked",)
    assert rule("locked_funds", above=0, measure="held").measures() == ("held",)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="no threshold"),
        pytest.param({"above": 0, "measure": "available"}, id="spendable money is not locked"),
        pytest.param({"below": 0}, id="the other rule's key"),
        pytest.param({"above": "25%"}, id="a percentage of nothing in particular"),
        pytest.param({"above": 5, "resolve_below": 6}, id="recovery above the threshold"),
    ],
)
def test_settings_that_make_no_sense_are_mistakes(settings):
    with pytest.raises(ValidationError):
        rule("locked_funds", **settings)
