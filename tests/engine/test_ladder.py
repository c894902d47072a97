from datetime import timedelta

import pytest

from monitor.engine.ladder import next_attempt
from monitor.errors import DeliveryDeferred, DeliveryRejected
from tests.builders import NOON, group, minutes, seconds

DOWN = DeliveryDeferred("HTTP 503")


def waits(seed):
    """Every wait of a delivery that never succeeds, in seconds."""
    now, since, done = NOON, None, []
    while True:
        failed = group(attempts=len(done), failing_since=since)
        due_at = next_attempt(failed, DOWN, now, seed)
        if due_at is None:
            return done
        since = since or now
        done.append((due_at - now).total_seconds())
        now = due_at


@pytest.mark.parametrize("seed", ["ntf_1", "ntf_2", "ntf_3"])
def test_the_ladder_is_the_contract_s_within_a_fifth_and_ends_after_a_day(seed):
    steps = waits(seed)

    for step, wait in zip((1, 5, 30, 120, 600, 1800, *[3600] * 30), steps, strict=False):
        assert 0.8 * step <= wait <= 1.2 * step
    assert 24 * 3600 - 4320 < sum(steps) <= 24 * 3600
    assert len(steps) > 20


def test_the_same_failure_always_waits_the_same_and_others_differ():
    assert waits("ntf_1") == waits("ntf_1")
    assert waits("ntf_1") != waits("ntf_2")


@pytest.mark.parametrize("asked", [1, 60, 3600])
def test_a_prescribed_wait_is_kept_exactly_whatever_the_ladder_says(asked):
    assert next_attempt(group(attempts=3), DeliveryDeferred("429", seconds(asked)), NOON, "x") == NOON + seconds(asked)


def test_no_wait_at_all_is_not_taken_for_a_prescription():
    due_at = next_attempt(group(attempts=3), DeliveryDeferred("429", seconds(0)), NOON, "x")

    assert seconds(96) <= due_at - NOON <= seconds(144)


@pytest.mark.parametrize("fault", ["message", "channel"])
def test_what_is_refused_for_good_is_not_tried_again(fault):
    assert next_attempt(group(), DeliveryRejected("no", fault), NOON, "x") is None


def test_a_failing_day_ends_in_the_grave():
    old = group(attempts=7, failing_since=NOON - timedelta(hours=24) + minutes(61))

    assert next_attempt(old, DeliveryDeferred("429", minutes(61)), NOON, "x") is not None
    assert next_attempt(old, DeliveryDeferred("429", minutes(62)), NOON, "x") is None


def test_what_waited_for_its_channel_and_was_hardly_tried_does_not_die_of_that():
    steps = {}
    for attempts in range(10):
        old = group(attempts=attempts, failing_since=NOON - timedelta(days=7))
        steps[attempts] = next_attempt(old, DOWN, NOON, "x") is not None

    assert [attempts for attempts, tried_again in steps.items() if tried_again] == [0, 1, 2, 3, 4, 5]
