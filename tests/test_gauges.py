"""What the metrics hear of a process's work."""

import pytest
from structlog.testing import capture_logs

from monitor.concerns import Concerns
from monitor.engine.poll import Polled
from monitor.engine.ports import Claim
from monitor.gauges import Gauges
from monitor.metrics import PREFIX, Metrics
from monitor.model.record import Record
from monitor.model.window import Coverage
from tests.builders import NOON, commit, entry, message, minutes, row, seconds
from tests.facts import account, answer, event, outage, snapshot
from tests.fakes import FakeClock


@pytest.mark.parametrize(
    ("kind", "measured"),
    [("alert.firing", 1), ("alert.resolved", 1), ("alert.event", 1), ("alert.reminder", 0)],
)
def test_the_age_of_news_is_measured_when_they_arrive_and_a_reminder_has_none(kind, measured):
    metrics = Metrics("1.0")
    gauges = Gauges(metrics, FakeClock(NOON + minutes(240)), Concerns(FakeClock(), "web-1:7"))

    gauges.attempted("sent", message(entry(observed_at=NOON), kind=kind), minutes(0))

    labels = {"channel": "ops"}
    assert metrics.registry.get_sample_value(f"{PREFIX}deliveries_total", {**labels, "outcome": "ok"}) == 1
    latency = f"{PREFIX}delivery_latency_seconds"
    assert (metrics.registry.get_sample_value(f"{latency}_count", labels) or 0) == measured
    assert (metrics.registry.get_sample_value(f"{latency}_sum", labels) or 0) == measured * 14_400


def test_what_came_of_a_reading_that_was_doubted_is_counted_and_others_are_not():
    metrics = Metrics("1.0")
    gauges = Gauges(metrics, FakeClock(), Concerns(FakeClock(), "web-1:7"))
    owing = commit(Record(account="hot-usdt"))
    polled = Polled(answer(), owing, "written", NOON + minutes(1), NOON, NOON, NOON, NOON)

    for doubt in (None, "refuted", "refuted", "confirmed"):
        gauges.polled(account(), Claim("hot-usdt", 1, NOON, NOON), polled._replace(doubt=doubt))

    name, casino = f"{PREFIX}readings_doubted_total", {"provider": "casino"}
    counted = [metrics.registry.get_sample_value(name, {**casino, "outcome": one}) for one in ("refuted", "confirmed")]
    assert counted == [2, 1]


def test_polls_that_must_read_the_ledger_again_are_counted():
    metrics = Metrics("1.0")
    gauges = Gauges(metrics, FakeClock(), Concerns(FakeClock(), "web-1:7"))

    for covers in ({}, {"|1|": Coverage(1)}, {"|1|": Coverage(1), "|2|": Coverage(1, whole=False)}):
        owing = commit(Record(account="hot-usdt"), coverage=covers)
        polled = Polled(answer(), owing, "written", NOON + minutes(1), NOON, NOON, NOON, NOON)
        gauges.polled(account(), Claim("hot-usdt", 1, NOON, NOON), polled)

    assert metrics.registry.get_sample_value(f"{PREFIX}windows_from_ledger_total", {"provider": "casino"}) == 1


@pytest.mark.parametrize(("reading", "outcome"), [(answer(), "ok"), (outage(kind="garbled"), "garbled")])
def test_polls_and_deliveries_are_logged_one_by_one_only_on_request(reading, outcome):
    gauges = Gauges(Metrics("1.0"), FakeClock(), Concerns(FakeClock(), "web-1:7"))
    begun, read = NOON, NOON + seconds(0.25)
    owing = commit(Record(account="hot-usdt"), row("firing", entry()))
    polled = Polled(reading, owing, "written", NOON + minutes(1), begun, read, read, read)
    told = message(entry())

    with capture_logs() as logs:
        for gauges.loud in (False, True):
            gauges.polled(account(), Claim("hot-usdt", 1, NOON, NOON), polled)
            gauges.attempted("failed", told, seconds(2))

    assert [line["event"] for line in logs] == ["poll.ended", "delivery.tried"]
    poll, delivery = logs
    assert (poll["account"], poll["outcome"], poll["took_ms"], poll["news"]) == ("hot-usdt", outcome, 250, 1)
    assert (delivery["channel"], delivery["outcome"], delivery["took_ms"]) == ("ops", "failed", 2000)


@pytest.mark.parametrize(
    ("reading", "ahead"),
    [
        (answer(events=(event(at=NOON + seconds(90)),)), 90),
        (answer(snapshot(as_of=NOON + seconds(40))), 40),
        (answer(snapshot(as_of=NOON), events=(event(at=NOON - seconds(90)),)), None),
        (answer(events=(event(at=NOON + seconds(2)),)), None),
        (answer(events=()), None),
    ],
)
def test_case_07_a_provider_whose_clock_is_ahead_is_reported_once(reading, ahead):
    gauges = Gauges(Metrics("1.0"), FakeClock(), Concerns(FakeClock(), "web-1:7"))
    polled = Polled(reading, commit(Record(account="hot-usdt")), "written", *[NOON] * 5)

    with capture_logs() as logs:
        for name in ("hot", "cold"):
            gauges.polled(account(name), Claim(name, 1, NOON, NOON), polled)

    told = [{"provider": "casino", "account": "hot", "by_seconds": ahead}] if ahead else []
    assert [{key: line[key] for key in ("provider", "account", "by_seconds")} for line in logs] == told


def test_case_43_a_template_that_fails_is_counted_each_time_and_reported_once():
    metrics, concerns = Metrics("1.0"), Concerns(FakeClock(), "web-1:7")
    gauges = Gauges(metrics, FakeClock(), concerns)
    failed = entry(annotations={"summary": "plain", "template_error": "summary: DivisionByZero: oops"})
    owing = commit(Record(account="hot-usdt"), row("firing", failed), row("firing", entry()))

    for _ in range(2):
        concerns.bell.clear()
        gauges.polled(account(), Claim("hot-usdt", 1, NOON, NOON), Polled(answer(), owing, "written", *[NOON] * 5))

    counted = metrics.registry.get_sample_value(f"{PREFIX}template_errors_total", {"rule": "HotWalletLow"})
    assert (counted, concerns.bell.is_set()) == (2, False)
