from datetime import UTC, datetime, timedelta

import pytest

from monitor.metrics import ACCOUNT_STATES, PREFIX, Metrics

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(PREFIX + name, labels)


def everything(metrics, name):
    """One call of every method, for one provider or channel."""
    metrics.beats.pinged(ok=True)
    metrics.beats.withheld()
    metrics.poll(name, "ok", took=SECOND, lateness=2 * SECOND, interval=SECOND)
    metrics.doubted(name, "refuted")
    metrics.read(name, NOON)
    metrics.priced("market", NOON)
    metrics.accounts(name, {"ok": 3})
    metrics.claimed(SECOND)
    metrics.decided(SECOND)
    metrics.committed("written", SECOND)
    metrics.recorded(name, 2)
    metrics.crowded(name)
    metrics.owed("firing")
    metrics.template_failed("Low")
    metrics.attempted(name, "ok", SECOND)
    metrics.dead_letters(name, 1)
    metrics.channel_failing(name, failing=True)
    metrics.lag(SECOND)
    metrics.store(up=True)
    metrics.configured("abc")
    metrics.reloaded(ok=False)
    metrics.answered(404)
    metrics.hung_up("stranger")
    metrics.guard.decided("OK", SECOND, SECOND)
    metrics.guard.undecided("store-unavailable", SECOND)
    metrics.guard.resolved("commit", "done")
    metrics.guard.refreshed("late")
    metrics.guard.undone("refused")
    metrics.guard.unaudited(1)
    metrics.guard.open(7)


def test_a_poll_is_late_only_beyond_its_own_interval():
    metrics = Metrics("1.0")

    for lateness in (0, 59, 60, 61):
        metrics.poll("casino", "ok", took=SECOND, lateness=lateness * SECOND, interval=timedelta(seconds=60))

    assert value(metrics, "polls_total", provider="casino", outcome="ok") == 4
    assert value(metrics, "polls_late_total", provider="casino") == 1
    assert value(metrics, "poll_lateness_seconds_sum", provider="casino") == 180


def test_a_poll_that_began_early_is_not_negatively_late():
    metrics = Metrics("1.0")

    metrics.poll("casino", "ok", took=SECOND, lateness=-SECOND, interval=SECOND)

    assert value(metrics, "poll_lateness_seconds_sum", provider="casino") == 0


def test_a_state_that_no_account_is_in_any_more_falls_to_zero():
    metrics = Metrics("1.0")

    metrics.accounts("casino", {"failing": 2, "ok": 1})
    metrics.accounts("casino", {"ok": 3})

    assert {state: value(metrics, "accounts", provider="casino", state=state) for state in ACCOUNT_STATES} == {
        "ok": 3,
        "failing": 0,
        "never": 0,
    }


def test_only_a_delivery_that_arrived_has_a_latency():
    metrics = Metrics("1.0")

    metrics.attempted("ops", "deferred")
    metrics.attempted("ops", "ok", SECOND)

    assert value(metrics, "deliveries_total", channel="ops", outcome="deferred") == 1
    assert value(metrics, "delivery_latency_seconds_count", channel="ops") == 1


def test_a_new_configuration_replaces_the_old_digest():
    metrics = Metrics("1.0")

    metrics.configured("old")
    metrics.configured("new")

    assert value(metrics, "config_info", digest="new") == 1
    assert value(metrics, "config_info", digest="old") is None


def test_every_metric_says_what_it_means():
    described = Metrics("1.0").describe()

    assert [row.name for row in described] == sorted({row.name for row in described})
    for row in described:
        assert row.name.startswith(PREFIX)
        assert row.help.endswith("."), row.name


def test_what_is_described_is_what_is_exposed():
    metrics = Metrics("1.0")
    everything(metrics, "casino")

    page = metrics.expose()[0].decode()

    exposed = {line.split()[2]: line.split()[3] for line in page.splitlines() if line.startswith("# TYPE")}
    expected = {row.name: "gauge" if row.type == "info" else row.type for row in metrics.describe()}
    assert exposed == expected


def test_every_metric_can_be_reached_and_only_through_few_labels():
    metrics = Metrics("1.0")
    everything(metrics, "casino")

    names = {name for family in metrics.registry.collect() for sample in family.samples for name in sample.labels}

    assert names <= {
        "provider",
        "outcome",
        "state",
        "channel",
        "result",
        "news",
        "status",
        "le",
        "version",
        "digest",
        "rule",
        "source",
        "decision",
        "reason",
        "call",
        "who",
    }
    assert all(list(family.samples) for family in metrics.registry.collect())


def test_an_account_is_never_a_label():
    metrics = Metrics("1.0")

    def series():
        return sum(len(list(family.samples)) for family in metrics.registry.collect())

    everything(metrics, "casino")
    before = series()
    for _ in range(100):
        everything(metrics, "casino")

    assert series() == before


def test_two_processes_of_one_test_share_nothing():
    first, second = Metrics("1.0"), Metrics("1.0")

    first.owed("firing")

    assert value(second, "rows_total", news="firing") is None


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/plain; version=0.0.4"),
        ("*/*", "text/plain; version=0.0.4"),
        ("text/plain;version=x", "text/plain; version=0.0.4"),
        ("application/openmetrics-text;version=zz", "text/plain; version=0.0.4"),
        ("application/openmetrics-text", "application/openmetrics-text"),
    ],
)
def test_a_scraper_gets_what_it_can_read(accept, kind):
    page, told = Metrics("1.0").expose(accept)

    assert b"balance_monitor_build_info" in page
    assert told.startswith(kind)
