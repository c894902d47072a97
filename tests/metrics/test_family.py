import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from monitor.metrics.family import Count, Distribution

BOUNDS = (0.0005, 0.01, 1, 5)


def lines(registry):
    """A registry's page, without the times when the library's metrics were made."""
    return [line for line in generate_latest(registry).splitlines() if b"_created" not in line]


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([], id="nothing yet"),
        pytest.param([0.0001, 0.002, 0.5, 3, 100], id="one in each"),
        pytest.param([0.0005, 0.01, 1, 5], id="on the bounds, which belong to what is below"),
        pytest.param([0, 0, 7, 0.3, 0.3], id="some more often"),
    ],
)
def test_a_distribution_tells_what_the_librarys_histogram_tells(values):
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    mine = Distribution("some_seconds", "How long.", BOUNDS, ours)
    yours = Histogram("some_seconds", "How long.", buckets=BOUNDS, registry=theirs)

    for value in values:
        mine.observe(value)
        yours.observe(value)

    assert lines(ours) == lines(theirs)


def test_a_distribution_with_labels_does_so_for_each_of_their_values():
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    mine = Distribution("some_seconds", "How long.", BOUNDS, ours, "provider")
    yours = Histogram("some_seconds", "How long.", ["provider"], buckets=BOUNDS, registry=theirs)

    assert lines(ours) == lines(theirs)
    for value, provider in ((0.002, "bank"), (3, 'a "casino"'), (0.5, "bank")):
        mine.observe(value, provider)
        yours.labels(provider).observe(value)
    assert lines(ours) == lines(theirs)


@pytest.mark.parametrize("labels", [(), ("provider", "outcome")])
def test_a_count_tells_what_the_librarys_counter_tells(labels):
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    mine = Count("some_total", "How often.", ours, *labels)
    yours = Counter("some_total", "How often.", labels, registry=theirs)

    assert lines(ours) == lines(theirs)
    for by, values in ((1, ("bank", "ok")), (3, ('a "casino"', "failed")), (2, ("bank", "ok"))):
        mine.add(*values[: len(labels)], by=by)
        (yours.labels(*values) if labels else yours).inc(by)
    assert lines(ours) == lines(theirs)


def test_a_name_is_there_once():
    registry = CollectorRegistry()
    Distribution("some_seconds", "How long.", BOUNDS, registry)
    Count("some_total", "How often.", registry)

    with pytest.raises(ValueError, match="some_seconds"):
        Distribution("some_seconds", "How long.", BOUNDS, registry)
    with pytest.raises(ValueError, match="some"):
        Count("some_total", "How often.", registry)
