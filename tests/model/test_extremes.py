"""Highs and lows of a window against a model that keeps every reading."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model.extremes import STEPS_MAX, alive, extreme, leave
from monitor.model.window import micros
from tests.builders import NOON, minutes, seconds

HOUR = timedelta(hours=1)


def folded(readings, side, within):
    """The steps after readings of (time, value), as a record would keep them."""
    steps, current = (), None
    for at, value in readings:
        if current is not None and value != current:
            steps = leave(steps, current, side, within, at)
        current = value
    return steps


def found(steps, current, side, within, now):
    step = extreme(steps, within, now)
    return current if step is None else (max if side == "high" else min)(current, step.value)


def naive(readings, side, within, now):
    """A reading is true until the next one: the extreme of all that were true within the window."""
    ends = [at for at, _ in readings[1:]]
    held = [value for (_, value), end in zip(readings, ends, strict=False) if end > now - within]
    return (max if side == "high" else min)([*held, readings[-1][1]])


@st.composite
def histories(draw, most, longest=20 * 60):
    """Readings in order, and the time of asking: seconds apart, so that buckets and edges are often hit exactly."""
    at, readings = NOON, []
    for pause, value in draw(
        st.lists(st.tuples(st.integers(0, longest), st.integers(-50, 50)), min_size=1, max_size=most)
    ):
        at += seconds(pause)
        readings.append((at, Decimal(value)))
    return readings, at + seconds(draw(st.integers(0, 2 * 3600)))


@given(histories(40), st.sampled_from(["high", "low"]))
def test_up_to_sixty_values_it_is_exactly_the_extreme_of_the_window(history, side):
    readings, now = history

    steps = folded(readings, side, HOUR)

    assert found(steps, readings[-1][1], side, HOUR, now) == naive(readings, side, HOUR, now)


@given(histories(300, 40), st.sampled_from(["high", "low"]))
def test_of_any_number_it_is_the_extreme_of_at_least_the_window_and_at_most_a_sixtieth_more(history, side):
    readings, now = history
    steps = folded(readings, side, HOUR)

    asked = found(steps, readings[-1][1], side, HOUR, now)

    ends = sorted([naive(readings, side, HOUR, now), naive(readings, side, HOUR + minutes(1), now)])
    assert ends[0] <= asked <= ends[1]
    assert len(steps) <= STEPS_MAX


@pytest.mark.parametrize("side", ["high", "low"])
def test_a_long_slide_stays_small_and_keeps_its_top(side):
    """Every reading is a new extreme of the other side, so none makes an older one needless."""
    sign = -1 if side == "high" else 1
    readings = [(NOON + seconds(n), Decimal(sign * n)) for n in range(3601)]

    steps = folded(readings, side, HOUR)

    assert len(steps) <= STEPS_MAX
    assert extreme(steps, HOUR, NOON + seconds(3600)).value == 0
    for later in range(3600, 7200, 7):
        now = NOON + seconds(later)
        longer, asked = naive(readings, side, HOUR + minutes(1), now), found(steps, readings[-1][1], side, HOUR, now)
        assert abs(naive(readings, side, HOUR, now)) >= abs(asked) >= abs(longer)


def test_steps_fall_off_on_both_axes():
    readings = [(NOON + minutes(n), Decimal(v)) for n, v in enumerate([5, 9, 3, 7, 7, 1, 4])]

    assert [int(step.value) for step in folded(readings, "high", HOUR)] == [9, 7, 1]
    assert [int(step.value) for step in folded(readings, "low", HOUR)] == [1]


def test_a_value_counts_until_exactly_the_window_after_it_was_left():
    steps = folded([(NOON, Decimal(9)), (NOON + minutes(1), Decimal(3))], "high", HOUR)
    end = NOON + minutes(61)

    assert extreme(steps, HOUR, end - timedelta(microseconds=1)).value == 9
    assert extreme(steps, HOUR, end) is None
    assert alive(steps, HOUR, end - timedelta(microseconds=1)) is steps
    assert alive(steps, HOUR, end) == ()


def test_what_was_true_for_ten_hours_of_silence_counts_from_when_something_else_was_read():
    steps = folded([(NOON, Decimal(9)), (NOON + minutes(600), Decimal(3))], "high", HOUR)

    assert extreme(steps, HOUR, NOON + minutes(600)).value == 9
    assert extreme(steps, HOUR, NOON + minutes(659)).value == 9


def test_a_clock_that_was_ahead_makes_nothing_last_longer():
    steps = leave((), Decimal(9), "high", HOUR, NOON + timedelta(days=1))

    steps = leave(steps, Decimal(3), "high", HOUR, NOON)

    assert [step.until for step in steps] == [micros(NOON)] * 2


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False, places=18), min_size=2, max_size=10))
def test_no_digit_is_lost(values):
    readings = [(NOON + seconds(n), value) for n, value in enumerate(values)]

    assert found(folded(readings, "high", HOUR), values[-1], "high", HOUR, NOON + minutes(1)) == max(values)
