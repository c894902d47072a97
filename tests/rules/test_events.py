"""liquidation and event: each fresh event that fits is told once."""

from decimal import Decimal

import pytest
from pydantic import ValidationError

from tests.facts import blindness, event, rule, sighting


def told(watching, *events):
    return [(verdict.event.id, verdict.severity) for verdict in watching.judge(sighting(events=events))]


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        pytest.param("market_liquidation", 1, id="sold by the exchange"),
        pytest.param("backstop_liquidation", 1, id="taken over with all collateral"),
        pytest.param("adl_liquidation", 0, id="somebody else's liquidation is not ours"),
        pytest.param("trade", 0, id="a trade"),
        pytest.param("liquidation", 0, id="a kind no provider has"),
    ],
)
def test_a_liquidation_is_told_by_its_kind(kind, count):
    assert len(told(rule("liquidation"), event(kind=kind))) == count


def test_adl_is_told_when_asked_for_with_the_severity_of_that_rule():
    watching = rule("liquidation", kinds=["adl_liquidation"], severity="info")

    fresh = (event(kind="adl_liquidation"), event(kind="market_liquidation", name="e2"))

    assert told(watching, *fresh) == [("e1", "info")]


def test_a_liquidation_whose_direction_is_not_known_is_told_all_the_same():
    assert told(rule("liquidation"), event(direction=None, kind="market_liquidation")) == [("e1", "warning")]


def test_five_chunks_are_five_events():
    chunks = [event(kind="market_liquidation", name=f"chunk{n}") for n in range(5)]

    assert len(told(rule("liquidation"), *chunks)) == 5


def test_a_kind_that_is_no_liquidation_cannot_be_asked_for():
    with pytest.raises(ValidationError):
        rule("liquidation", kinds=["withdraw"])


@pytest.mark.parametrize(
    ("settings", "fits"),
    [
        pytest.param({}, True, id="anything"),
        pytest.param({"kinds": ["withdraw"]}, True, id="its kind"),
        pytest.param({"kinds": ["deposit", "payout"]}, False, id="other kinds"),
        pytest.param({"direction": "out"}, True, id="its direction"),
        pytest.param({"direction": "in"}, False, id="the other direction"),
        pytest.param({"above": "9.99"}, True, id="more than the limit"),
        pytest.param({"above": 10}, False, id="on the limit"),
        pytest.param({"assets": ["USDT"]}, True, id="its asset"),
        pytest.param({"assets": ["BTC"]}, False, id="another asset"),
        pytest.param({"kinds": ["withdraw"], "direction": "in"}, False, id="all must hold"),
    ],
)
def test_an_event_is_chosen_by_kind_direction_amount_and_asset(settings, fits):
    assert bool(told(rule("event", **settings), event("10"))) is fits


def test_a_direction_that_is_not_known_is_neither():
    unclear = event(direction=None)

    assert told(rule("event"), unclear) == [("e1", "warning")]
    assert told(rule("event", direction="in"), unclear) == []
    assert told(rule("event", direction="out"), unclear) == []


def test_an_event_verdict_carries_amount_limit_and_unit():
    watching = rule("event", above=5, severity="critical")

    [verdict] = watching.judge(sighting(events=(event("10.50", asset="USDT@TRX"),)))

    assert (verdict.value, verdict.threshold, verdict.unit) == (Decimal("10.50"), 5, "USDT")
    assert verdict.severity == "critical"


@pytest.mark.parametrize("rule_type", ["liquidation", "event"])
def test_nothing_happens_during_an_outage(rule_type):
    assert list(rule(rule_type).judge(blindness())) == []


@pytest.mark.parametrize("settings", [{"for_": "1m"}, {"keep_firing_for": "1m"}, {"above": -1}, {"within": "1h"}])
@pytest.mark.parametrize("rule_type", ["liquidation", "event"])
def test_settings_that_would_be_ignored_are_mistakes(rule_type, settings):
    with pytest.raises(ValidationError):
        rule(rule_type, **settings)
