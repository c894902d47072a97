"""The process's time follows the store's, and never runs backwards but for a clock that was set."""

from datetime import UTC, datetime, timedelta

import pytest

from monitor import clock
from monitor.clock import FollowedClock

START = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Machine:
    """What a machine's clocks say."""

    def __init__(self):
        self.passed = 0.0
        self.set_by = 0.0

    def time(self):
        return START.timestamp() + self.passed + self.set_by

    def monotonic(self):
        return 1_000.0 + self.passed


@pytest.fixture
def machine(monkeypatch):
    found = Machine()
    monkeypatch.setattr(clock, "time", found)
    return found


def ahead(clock, machine):
    """By how many seconds our time is ahead of the machine's."""
    return round((clock() - START).total_seconds() - machine.passed, 3)


def store(machine, by):
    """What a store's clock says that is so many seconds ahead of the machine's."""
    return START + timedelta(seconds=machine.passed + by)


def test_case_07_a_store_that_is_ahead_is_followed_at_once(machine):
    clock = FollowedClock()

    clock.follow(store(machine, 90))

    assert ahead(clock, machine) == 90


def test_case_07_a_machine_that_is_a_little_ahead_waits_for_the_store_and_then_keeps_its_time(machine):
    # Polls planned by a clock that stays ahead come late by as much, at every interval below a second.
    clock, said = FollowedClock(), []
    for _ in range(5):
        clock.follow(store(machine, -1.5))
        said.append(ahead(clock, machine))
        machine.passed += 0.5

    assert said == [0, -0.5, -1.0, -1.5, -1.5]


def test_case_07_the_time_never_runs_backwards_by_a_little(machine):
    clock = FollowedClock()
    before = clock()

    clock.follow(store(machine, -1.9))

    assert clock() == before


def test_case_07_a_clock_that_was_set_back_is_followed(machine):
    clock = FollowedClock()

    clock.follow(store(machine, -3600))

    assert ahead(clock, machine) == -3600


def test_case_07_an_answer_that_took_its_time_does_not_slow_ours(machine):
    clock = FollowedClock()
    machine.passed += 10

    clock.follow(store(machine, -0.02))

    assert ahead(clock, machine) == 0


def test_case_07_timers_do_not_see_the_machines_time_of_day_being_set(machine):
    clock = FollowedClock()
    before = clock()
    machine.set_by = 3_600
    machine.passed += 5

    assert (clock() - before).total_seconds() == 5
