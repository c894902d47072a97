"""Times of the week by a wall clock, over the changes of clocks."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from monitor.engine.calendar import TimeInterval, window

MALTA = "Europe/Malta"


def interval(*times, weekdays=(), location=MALTA):
    said = {"times": times, "weekdays": weekdays, "location": location}
    return TimeInterval.model_validate({name: value for name, value in said.items() if value})


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def active(intervals, moment):
    return window(intervals, moment) is not None


FRIDAY = interval("08:00-12:00", weekdays=["fri"])
NIGHTS = interval("22:00-07:00", weekdays=["mon-fri"])


@pytest.mark.parametrize(
    ("one", "moment", "began"),
    [
        (FRIDAY, "2026-11-20T06:59:59.999999", None),
        (FRIDAY, "2026-11-20T07:00", "2026-11-20T07:00"),  # 08:00 in Malta's winter
        (FRIDAY, "2026-11-20T10:59:59.999999", "2026-11-20T07:00"),
        (FRIDAY, "2026-11-20T11:00", None),
        (FRIDAY, "2026-07-17T06:00", "2026-07-17T06:00"),  # 08:00 in its summer
        (FRIDAY, "2026-11-19T08:00", None),
        (NIGHTS, "2026-11-20T21:00", "2026-11-20T21:00"),
        (NIGHTS, "2026-11-21T05:59", "2026-11-20T21:00"),  # Friday's night ends on Saturday
        (NIGHTS, "2026-11-21T21:30", None),
        (NIGHTS, "2026-11-23T05:59", None),  # Sunday's night is not of the week's
        (interval(weekdays=["sat-sun"]), "2026-11-21T22:59", "2026-11-20T23:00"),
        (interval(weekdays=["sat-sun"]), "2026-11-21T23:00", "2026-11-21T23:00"),  # each day is a window
        (interval("00:00-24:00", location="UTC"), "2026-11-21T23:59", "2026-11-21T00:00"),
        (interval(location="Asia/Kathmandu"), "2026-11-21T18:14", "2026-11-20T18:15"),
    ],
)
def test_a_window_begins_and_ends_by_the_clock_of_its_place(one, moment, began):
    assert window([one], at(moment)) == (began and at(began))


def test_case_08_a_time_that_the_clock_jumps_over_is_the_first_one_after_the_jump():
    # Malta, 29 March 2026: 02:00 is followed by 03:00, at 01:00 UTC.
    begins_within = interval("02:30-03:15")
    lies_within = interval("02:10-02:50")
    ends_within = interval("01:00-02:30")

    assert window([begins_within], at("2026-03-29T01:00")) == at("2026-03-29T01:00")
    assert not active([begins_within], at("2026-03-29T01:15"))
    assert not any(active([lies_within], at("2026-03-29T00:30") + timedelta(minutes=n)) for n in range(90))
    assert active([ends_within], at("2026-03-29T00:59"))
    assert not active([ends_within], at("2026-03-29T01:00"))


def test_case_08_an_hour_that_the_clock_repeats_opens_one_window_not_two():
    # Malta, 25 October 2026: 03:00 summer time (01:00 UTC) is followed by 02:00 again.
    repeated = interval("02:00-03:00")
    ends_within = interval("01:00-02:30")

    begun = {window([repeated], at("2026-10-25T00:00") + timedelta(minutes=n)) for n in range(120)}

    assert begun == {at("2026-10-25T00:00")}
    assert not active([repeated], at("2026-10-25T02:00"))
    assert active([ends_within], at("2026-10-25T00:29"))
    assert not active([ends_within], at("2026-10-25T01:10")), "02:10 for the second time"


def test_case_08_a_range_across_midnight_is_one_window():
    begun = {window([NIGHTS], at("2026-11-20T21:00") + timedelta(minutes=n)) for n in range(9 * 60)}

    assert begun == {at("2026-11-20T21:00")}


def test_several_intervals_are_active_when_any_is_and_the_window_is_the_one_that_began_first():
    early, late = interval("08:00-12:00", location="UTC"), interval("10:00-14:00", location="UTC")

    assert window([late, early], at("2026-11-20T11:00")) == at("2026-11-20T08:00")
    assert window([late, early], at("2026-11-20T13:00")) == at("2026-11-20T10:00")


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ({"times": ["8-12"]}, 'write it like "08:00-12:00"'),
        ({"times": ["08:00-24:01"]}, 'write it like "08:00-12:00"'),
        ({"times": ["08:00-08:00"]}, 'the whole day is "00:00-24:00"'),
        ({"times": []}, "at least 1"),
        ({"weekdays": ["friday"]}, "write mon, tue"),
        ({"weekdays": [5]}, "write mon, tue"),
        ({"location": "Europe/Melta"}, "there is no time zone 'Europe/Melta'"),
        ({"days": ["fri"]}, "Extra inputs"),
    ],
)
def test_what_is_no_time_interval_is_refused(said, what):
    with pytest.raises(ValidationError, match=what):
        TimeInterval.model_validate(said)


@pytest.mark.parametrize(
    ("said", "days"),
    [(["mon-fri"], {0, 1, 2, 3, 4}), (["fri-mon"], {4, 5, 6, 0}), (["sat", "sun"], {5, 6}), (["wed-wed"], {2})],
)
def test_weekdays_are_named_or_ranges_also_over_the_weekend(said, days):
    assert interval(weekdays=said).days == days


@given(
    st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - given its zone
    st.sampled_from(["UTC", MALTA, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
    st.integers(0, 1439),
    st.integers(1, 1440),
)
def test_at_any_time_of_any_year_a_window_holds_the_moment_and_begins_only_once(moment, location, start, length):
    end = (start + length) % 1440
    shown = [f"{minute // 60:02}:{minute % 60:02}" for minute in (start, end)]
    if shown[0] == shown[1]:
        shown = ["00:00", "24:00"]
    one = interval("-".join(shown), location=location)

    began = [window([one], moment + timedelta(minutes=n)) for n in range(0, 2 * 1440, 7)]

    assert all(start is None or start <= moment + timedelta(minutes=7 * n) for n, start in enumerate(began))
    assert all(a <= b for a, b in pairwise(start for start in began if start is not None))
