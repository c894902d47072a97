"""Rolling sums against a model that keeps every event: the bounds contain the truth, the exact sum is it."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.model.money import total
from monitor.model.window import (
    BUCKETS,
    Bounds,
    Flow,
    exact_flow,
    flow,
    flow_bounds,
    micros,
    moment,
    opening_total,
    record_flow,
    record_opening,
)
from tests.builders import NOON, minutes, seconds
from tests.facts import event

HOUR = timedelta(hours=1)
#: Windows that sixty divides, and windows that it does not.
WINDOWS = st.sampled_from(
    [
        minutes(1),
        HOUR,
        seconds(100),
        timedelta(seconds=7, microseconds=3),
        timedelta(days=7),
        # So short that sixty buckets rounded down would span half of it.
        timedelta(microseconds=119),
    ]
)


@st.composite
def histories(draw, steps_back=False):
    """Polls in order, each with its events, which may be late: (window, [(now, events)])."""
    within = draw(WINDOWS)
    width = within // timedelta(microseconds=1)
    now, polls, count = NOON, [], 0
    for _ in range(draw(st.integers(1, 12))):
        least = -width // 100 if steps_back else 0
        now += timedelta(microseconds=draw(st.integers(least, width // 2)))
        events = []
        for _ in range(draw(st.integers(0, 4))):
            count += 1
            late = timedelta(microseconds=draw(st.integers(0, width * 2)))
            amount = draw(st.decimals(min_value=0, max_value=10**6, places=4))
            direction = draw(st.sampled_from(["in", "out", "out", None]))
            events.append(event(amount, direction, at=now - late, name=f"e{count}"))
        polls.append((now, events))
    return within, polls


def truth(events, direction, within, now):
    return total(e.amount for e in events if e.direction == direction and now - within < e.occurred_at)


@given(histories(), st.sampled_from(["in", "out"]))
def test_the_bounds_contain_the_truth_at_every_poll(history, direction):
    within, polls = history
    ring, known = flow(within), []

    for now, events in polls:
        ring = record_flow(ring, events, now)
        known += events
        bounds = flow_bounds(ring, direction, within, now)
        assert bounds.low <= truth(known, direction, within, now) <= bounds.high


@given(histories(), st.integers(0, 10**9))
def test_they_still_do_when_nothing_happened_for_a_while(history, waited):
    within, polls = history
    ring, known = flow(within), []
    for now, events in polls:
        ring = record_flow(ring, events, now)
        known += events

    later = polls[-1][0] + timedelta(microseconds=waited)
    for ring_then in (ring, record_flow(ring, [], later)):
        bounds = flow_bounds(ring_then, "out", within, later)
        assert bounds.low <= truth(known, "out", within, later) <= bounds.high


@given(histories())
def test_the_exact_sum_is_the_truth(history):
    within, polls = history
    now, known = polls[-1][0], [e for _, events in polls for e in events]

    assert exact_flow(known, "out", within, now) == truth(known, "out", within, now)


@given(histories())
def test_bounds_that_agree_are_the_exact_sum(history):
    within, polls = history
    ring = flow(within)
    for now, events in polls:
        ring = record_flow(ring, events, now)

    bounds = flow_bounds(ring, "out", within, now)

    if bounds.exact:
        assert bounds.low == exact_flow([e for _, events in polls for e in events], "out", within, now)


@given(histories())
def test_a_ring_holds_no_more_than_its_window_and_at_first_the_one_that_ends_at_what_is_new(history):
    within, polls = history
    ring = flow(within)

    for now, events in polls:
        ring = record_flow(ring, events, now)
        ends = min(micros(each) // ring.width for each in (now, *(one.occurred_at for one in events)))
        ends = max(ends, micros(now) // ring.width - BUCKETS)
        assert all(bucket >= ends - BUCKETS for bucket in ring.sums)
        assert len(ring.sums) <= 2 * BUCKETS + 1
        ring = record_flow(ring, (), now)
        assert all(bucket >= micros(now) // ring.width - BUCKETS for bucket in ring.sums)


@given(histories(steps_back=True))
def test_after_a_step_of_the_clock_nothing_counts_twice(history):
    within, polls = history
    ring, known = flow(within), []

    for now, events in polls:
        ring = record_flow(ring, events, now)
        known += events
        everything = total(e.amount for e in known if e.direction == "out")
        assert flow_bounds(ring, "out", within, now).high <= everything


@given(histories(), st.randoms(use_true_random=False))
def test_the_order_in_which_events_are_found_does_not_matter(history, random):
    within, polls = history
    now, known = polls[-1][0], [e for _, events in polls for e in events]
    shuffled = random.sample(known, len(known))

    assert record_flow(flow(within), known, now) == record_flow(flow(within), shuffled, now)


@given(WINDOWS, st.integers(0, 10**12))
def test_sixty_buckets_and_the_straddling_one_span_every_window(within, offset):
    ring, now = flow(within), NOON + timedelta(microseconds=offset)

    oldest_kept = micros(now) // ring.width - BUCKETS

    assert micros(now - within) // ring.width >= oldest_kept


@pytest.mark.parametrize(
    ("age", "counts"),
    [
        pytest.param(timedelta(0), True, id="now"),
        pytest.param(HOUR - timedelta(microseconds=1), True, id="just inside"),
        pytest.param(HOUR, False, id="on the start, which is outside"),
        pytest.param(HOUR + timedelta(microseconds=1), False, id="just outside"),
    ],
)
def test_a_window_ends_now_and_excludes_its_start(age, counts):
    assert exact_flow([event("5", at=NOON - age)], "out", HOUR, NOON) == (5 if counts else 0)


def test_an_event_from_the_future_counts_as_now():
    ring = record_flow(flow(HOUR), [event("5", at=NOON + timedelta(days=9))], NOON)

    assert flow_bounds(ring, "out", HOUR, NOON) == Bounds(Decimal(5), Decimal(5))
    assert flow_bounds(ring, "out", HOUR, NOON + minutes(62)) == Bounds(Decimal(0), Decimal(0))


@pytest.mark.parametrize("ahead", [timedelta(minutes=1), timedelta(hours=10), timedelta(days=9)])
def test_case_07_a_clock_that_was_ahead_makes_nothing_count_for_longer_than_the_window(ahead):
    ring = record_flow(flow(HOUR), [event("5", at=NOON - minutes(2)), event("7", at=NOON + ahead)], NOON + ahead)
    ring = record_opening(ring, Decimal(100), NOON + ahead)

    ring = record_opening(record_flow(ring, [event("1", at=NOON)], NOON), Decimal(99), NOON)

    assert flow_bounds(ring, "out", HOUR, NOON).low >= 8
    assert flow_bounds(record_flow(ring, [], NOON + minutes(62)), "out", HOUR, NOON + minutes(62)) == Bounds(0, 0)
    assert opening_total(ring, HOUR, NOON) == 99


def test_a_late_event_counts_in_the_window_it_belongs_to():
    ring = record_flow(flow(HOUR), [event("5")], NOON)

    ring = record_flow(ring, [event("7", at=NOON - minutes(43), name="late")], NOON + minutes(1))

    assert flow_bounds(ring, "out", HOUR, NOON + minutes(1)).low == 12


def test_an_event_older_than_the_window_counts_nowhere():
    ring = record_flow(flow(HOUR), [event("5", at=NOON - timedelta(days=1))], NOON)

    assert ring == flow(HOUR)


def test_a_ring_in_which_nothing_changed_is_the_same_object():
    ring = record_flow(flow(HOUR), [event("5")], NOON)

    assert record_flow(ring, [], NOON + minutes(1)) is ring
    assert record_flow(ring, [event("5", None)], NOON + minutes(1)) is ring


def test_in_and_out_are_apart_and_eighteen_decimals_survive():
    events = [event("1000000000.000000000000000001"), event("0.000000000000000001", "in", name="e2")]
    ring = record_flow(flow(HOUR), events, NOON)

    assert flow_bounds(ring, "out", HOUR, NOON).low == Decimal("1000000000.000000000000000001")
    assert flow_bounds(ring, "in", HOUR, NOON).low == Decimal("0.000000000000000001")


def opened(readings):
    ring = flow(HOUR)
    for after, amount in readings:
        ring = record_opening(ring, Decimal(amount), NOON + minutes(after))
    return ring


@pytest.mark.parametrize(
    ("readings", "now", "expected"),
    [
        pytest.param([], 0, None, id="nothing was ever read"),
        pytest.param([(0, 500)], 1, 500, id="a young ring knows its oldest reading"),
        pytest.param([(0, 500), (30, 400)], 59, 500, id="the window's start is before the first reading"),
        pytest.param([(0, 500), (30, 400)], 75, 500, id="what it was when the window began"),
        pytest.param([(0, 500), (30, 400)], 91, 400, id="and a window later"),
        pytest.param(
            [(0, 500), *[(n, 500) for n in range(1, 55)], (55, 600), (61, 600)], 61, 500,
            id="a quiet hour is remembered although every reading of it was the same",
        ),
        pytest.param(
            [(0, 500), *[(n, 500) for n in range(1, 200)], (200, 100)], 200, 500, id="or many quiet hours"
        ),
        pytest.param([(0, 500), (600, 300)], 600, 500, id="nothing was read for ten hours: still the newest"),
        pytest.param([(0, 500), (600, 300), (661, 300)], 661, 300, id="until a window after the next"),
    ],
)  # fmt: skip
def test_the_total_at_a_windows_start(readings, now, expected):
    assert opening_total(opened(readings), HOUR, NOON + minutes(now)) == expected


def test_a_bucket_opens_with_what_was_read_last_before_it():
    ring = record_opening(flow(HOUR), Decimal(500), NOON)
    for value, at in ((300, 20), (200, 40)):
        ring = record_opening(ring, Decimal(value), NOON + seconds(at))

    assert opening_total(ring, HOUR, NOON + minutes(60)) == 500
    assert opening_total(ring, HOUR, NOON + minutes(61)) == 200


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3)), min_size=1, max_size=60))
@example([(0, 0), (1, 0), (0, 1), (20, 0), (40, 0)])
def test_an_opening_is_the_newest_reading_before_the_windows_first_bucket(steps):
    ring, minute, readings = flow(HOUR), 0, {}
    for step, amount in steps:
        minute += step
        readings.setdefault(minute, []).append(Decimal(amount))
        ring = record_opening(ring, Decimal(amount), NOON + minutes(minute))
        before = [at for at in readings if at < minute - 60]
        expected = readings[max(before)][-1] if before else readings[min(readings)][0]
        assert opening_total(ring, HOUR, NOON + minutes(minute)) == expected
        assert len(ring.opening) <= BUCKETS + 2


@given(st.datetimes().map(lambda at: at.replace(tzinfo=NOON.tzinfo)))
def test_moments_survive_as_microseconds(at):
    assert moment(micros(at)) == at


def test_a_window_shorter_than_its_buckets_still_has_a_width():
    assert flow(timedelta(microseconds=1)) == Flow(width=1)
