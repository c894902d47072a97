"""What the metrics hear of a process's work."""

import pytest

from monitor.gauges import Gauges
from monitor.metrics import PREFIX, Metrics
from tests.builders import NOON, entry, message, minutes
from tests.fakes import FakeClock


@pytest.mark.parametrize(
    ("kind", "measured"),
    [("alert.firing", 1), ("alert.resolved", 1), ("alert.event", 1), ("alert.reminder", 0)],
)
def test_the_age_of_news_is_measured_when_they_arrive_and_a_reminder_has_none(kind, measured):
    metrics = Metrics("1.0")
    gauges = Gauges(metrics, FakeClock(NOON + minutes(240)))

    gauges.attempted("sent", message(entry(observed_at=NOON), kind=kind), minutes(0))

    labels = {"channel": "ops"}
    assert metrics.registry.get_sample_value(f"{PREFIX}deliveries_total", {**labels, "outcome": "ok"}) == 1
    latency = f"{PREFIX}delivery_latency_seconds"
    assert (metrics.registry.get_sample_value(f"{latency}_count", labels) or 0) == measured
    assert (metrics.registry.get_sample_value(f"{latency}_sum", labels) or 0) == measured * 14_400
