"""What is told of a subject that could not be read: its last facts as far as there are any, and since when."""

from decimal import Decimal

import pytest

from monitor.engine.nodata import data_flag, last_read, supposed, vanished
from monitor.model.alert import opened
from tests.builders import NOON, minutes
from tests.facts import Watched, blindness, policy, rule, sighting, snapshot

SINCE = {"no_data_since": "2026-11-20T12:00:00Z"}
KNOWN = snapshot({"USDT": {"available": "100", "total": "120"}})


def dark(minutes_ago=4):
    return blindness(now=NOON + minutes(minutes_ago), good=NOON)


@pytest.mark.parametrize(
    ("settings", "value", "unit"),
    [
        pytest.param({"type": "low_balance", "below": 5}, 100, "USDT", id="a balance as last read"),
        pytest.param({"type": "high_balance", "above": 5, "measure": "total"}, 120, "USDT", id="of its own measure"),
        pytest.param({"type": "low_balance", "below": 5, "unit": "usd"}, None, None, id="no worth without a price"),
        pytest.param({"type": "large_outflow", "above": 5, "within": "1h"}, None, None, id="no sum of movements"),
        pytest.param({"type": "large_outflow", "above": "5%", "within": "1h"}, None, None, id="nor a share"),
        pytest.param({"type": "balance_change", "falls_by": 5, "within": "1h"}, None, None, id="nor a fall"),
    ],
)
def test_what_fires_without_data_tells_an_amount_only_where_the_rule_reads_one(settings, value, unit):
    settings = dict(settings)
    watching = rule(settings.pop("type"), on_no_data="fire", **settings)

    [(read_at, said)] = vanished(watching, dark(), KNOWN)

    assert (said.value, said.unit, said.thresholds, said.details) == (value, unit, {}, SINCE)
    assert (read_at, said.bad, said.held, said.data) == (NOON, "warning", "warning", "stale")


@pytest.mark.parametrize("known", [None, snapshot({}), snapshot({"USDT": {"total": "5"}}), snapshot({"BTC": "5"})])
def test_of_what_was_never_read_nothing_is_said(known):
    watching = rule("low_balance", below=5, on_no_data="fire", assets=["USDT"])

    assert list(vanished(watching, dark(), known)) == []


def test_an_open_alert_keeps_the_facts_it_has():
    alert = opened("Low", "low_balance", "hot", "USDT", 1, "critical", NOON)
    one = Watched((rule("low_balance", below=50, on_no_data="resolve"),), policy=policy("ops"))
    one.reads("40 error error error error")

    said = supposed(alert, None, NOON)
    [_, (_, news, entry)] = one.told

    assert (said.bad, said.held, said.data, said.details) == (None, None, "stale", SINCE)
    assert (news, entry.reason) == ("resolved", "no_data")
    assert (entry.value, entry.threshold, entry.unit, entry.observed_at) == (Decimal(40), Decimal(50), "USDT", NOON)


def test_a_carried_asset_is_as_old_as_its_last_reading():
    watching = rule("low_balance", below=5)
    carried = snapshot({"USDT": "5", "BTC": "1"}, at=NOON + minutes(9), seen={"USDT": NOON})
    partial = sighting({"BTC": "1"}, now=NOON + minutes(9))

    assert last_read(watching, "USDT", partial, carried) == NOON
    assert last_read(watching, "BTC", partial, carried) is None
    assert last_read(watching, "BTC", dark(12), carried) == NOON + minutes(9)


@pytest.mark.parametrize(
    ("facts", "read_at", "flag"),
    [
        pytest.param(dark(3), NOON, "error", id="on the limit it is not stale yet"),
        pytest.param(dark(4), NOON, "stale", id="beyond it"),
        pytest.param(dark(4), None, "stale", id="nothing known of the subject: as old as the account"),
        pytest.param(dark(4), NOON + minutes(2), "error", id="the subject was read later than that"),
        pytest.param(sighting(now=NOON + minutes(4)), NOON, "stale", id="missing from an answer for too long"),
        pytest.param(sighting(now=NOON + minutes(3)), NOON, "error", id="missing from an answer"),
        pytest.param(sighting(now=NOON + minutes(9)), None, "unknown", id="in the answer, and still no verdict"),
    ],
)
def test_the_data_flag_says_how_old_the_facts_are(facts, read_at, flag):
    assert data_flag(facts, read_at) == flag
