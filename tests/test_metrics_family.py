import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from monitor.metrics_family import Distribution

BOUNDS = (0.0005, 0.01, 1, 5)


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

    assert [line for line in generate_latest(ours).splitlines() if b"_created" not in line] == [
        line for line in generate_latest(theirs).splitlines() if b"_created" not in line
    ]


def test_a_distribution_with_labels_does_so_for_each_of_their_values():
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    mine = Distribution("some_seconds", "How long.", BOUNDS, ours, "provider")
    yours = Histogram("some_seconds", "How long.", ["provider"], buckets=BOUNDS, registry=theirs)

    assert generate_latest(ours) == generate_latest(theirs)
    for value, provider in ((0.002, "bank"), (3, 'a "casino"'), (0.5, "bank")):
        mine.observe(value, provider)
        yours.labels(provider).observe(value)
    assert [line for line in generate_latest(ours).splitlines() if b"_created" not in line] == [
        line for line in generate_latest(theirs).splitlines() if b"_created" not in line
    ]


def test_a_name_is_there_once():
    registry = CollectorRegistry()
    Distribution("some_seconds", "How long.", BOUNDS, registry)

    with pytest.raises(ValueError, match="some_seconds"):
        Distribution("some_seconds", "How long.", BOUNDS, registry)
