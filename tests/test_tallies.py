"""Our histograms read like the client library's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics, generate_latest

from monitor import tallies

BOUNDS = (0.005, 0.5, 1, 2.5, 30)


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from((0.0, 0.005, 0.006, 0.5, 1, 2.5, 29.75, 30, 31, 9e9))))
)
def test_a_scrape_shows_what_the_library_would_show(seen):
    disable_created_metrics()
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    library = Histogram("took_seconds", "How long.", ["who"], buckets=BOUNDS, registry=theirs)
    own = tallies.Histogram("took_seconds", "How long.", ("who",), BOUNDS)
    ours.register(own)

    for who, value in seen:
        library.labels(who).observe(value)
        own.labels(who).observe(value)

    assert generate_latest(ours) == generate_latest(theirs)


def test_a_histogram_without_labels_is_there_before_anything_happened():
    ours = CollectorRegistry()
    own = tallies.Histogram("took_seconds", "How long.", (), BOUNDS)
    ours.register(own)
    own.labels()

    assert b"took_seconds_count 0.0" in generate_latest(ours)


def test_two_metrics_of_one_name_are_refused():
    ours = CollectorRegistry()
    ours.register(tallies.Histogram("took_seconds", "How long.", (), BOUNDS))

    with pytest.raises(ValueError, match="Duplicated"):
        ours.register(tallies.Histogram("took_seconds", "How long.", (), BOUNDS))
