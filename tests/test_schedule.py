"""Due times: the same grid after every restart, Unix cron lines, and clocks that change."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.triggers.interval import IntervalTrigger
from hypothesis import given
from hypothesis import strategies as st

from monitor.engine.calendar import zone
from monitor.schedule import Cron, Every, first_due, next_due, parse_cron, usual_gap

SINCE_1990 = st.integers(631_152_000, 4_102_444_800).map(lambda s: datetime.fromtimestamp(s, UTC))
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MINUTE = Every(timedelta(minutes=1))


def fires(timetable, after, count):
    found = []
    for _ in range(count):
        after = next_due(timetable, "hot", after)
        found.append(after)
    return found


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(found, location):
    return [moment.astimezone(zone(location)).strftime("%d %H:%M") for moment in found]


def test_an_interval_keeps_its_phase_whoever_asks_and_whenever():
    first = next_due(MINUTE, "hot", NOON)

    assert next_due(MINUTE, "hot", first) == first + timedelta(minutes=1)
    assert next_due(MINUTE, "hot", NOON + timedelta(days=3)) == first + timedelta(days=3)


def test_late_polls_do_not_pile_up():
    due = next_due(MINUTE, "hot", NOON)

    assert next_due(MINUTE, "hot", due + timedelta(minutes=7, seconds=1)) == due + timedelta(minutes=8)


@given(
    st.integers(100, 10**9).map(lambda ms: timedelta(milliseconds=ms)),
    st.text(max_size=20),
    SINCE_1990,
)
def test_the_next_due_time_is_after_now_and_at_most_one_interval_away(interval, account, now):
    due = next_due(Every(interval), account, now)

    assert now < due <= now + interval


@given(st.integers(1, 86_400), SINCE_1990)
def test_an_interval_agrees_with_the_schedulers_trigger(seconds, now):
    interval = timedelta(seconds=seconds)
    start = next_due(Every(interval), "hot", datetime(1989, 12, 1, tzinfo=UTC))
    trigger = IntervalTrigger(seconds=seconds, start_date=start, timezone=UTC)

    expected = trigger.get_next_fire_time(None, now + timedelta(microseconds=1))

    # The trigger counts in doubles, so its microseconds are not to be trusted.
    assert abs(next_due(Every(interval), "hot", now) - expected) < timedelta(milliseconds=1)


def test_accounts_are_spread_over_the_interval():
    buckets = Counter(next_due(MINUTE, f"player-{n}", NOON).second // 6 for n in range(10_000))

    assert len(buckets) == 10
    assert max(buckets.values()) < 1_200


def test_without_jitter_everybody_is_due_on_the_full_minute():
    assert next_due(Every(timedelta(minutes=1), spread=0), "hot", NOON) == NOON + timedelta(minutes=1)


def test_first_polls_start_at_once_over_the_jitter_not_over_the_interval():
    hour = Every(timedelta(hours=1), spread=10)
    starts = [first_due(hour, f"player-{n}", NOON) for n in range(1_000)]

    assert min(starts) < NOON + timedelta(seconds=10)
    assert NOON + timedelta(minutes=4) < max(starts) < NOON + timedelta(minutes=5)
    assert first_due(MINUTE, "hot", NOON) < NOON + timedelta(seconds=6)


@pytest.mark.parametrize(
    ("line", "after", "expected"),
    [
        pytest.param("*/5 * * * *", "2026-11-20T12:00", "2026-11-20T12:05", id="every five minutes, not this one"),
        pytest.param("0 9 * * 1-5", "2026-11-20T12:00", "2026-11-23T09:00", id="on weekdays: Friday noon to Monday"),
        pytest.param("0 0 * * 0", "2026-11-20T12:00", "2026-11-22T00:00", id="0 is Sunday"),
        pytest.param("0 0 * * 7", "2026-11-20T12:00", "2026-11-22T00:00", id="7 is Sunday too"),
        pytest.param("0 0 * * 1", "2026-11-20T12:00", "2026-11-23T00:00", id="1 is Monday"),
        pytest.param("0 0 * * 5-7", "2026-11-21T12:00", "2026-11-22T00:00", id="a range that ends on Sunday"),
        pytest.param("0 0 * * sun", "2026-11-20T12:00", "2026-11-22T00:00", id="a weekday by name"),
        pytest.param("0 0 * * mon-wed", "2026-11-24T12:00", "2026-11-25T00:00", id="a range by name"),
        pytest.param("0 0 * * */2", "2026-11-20T12:00", "2026-11-21T00:00", id="steps count from Sunday"),
        pytest.param("0 0 1 jan *", "2026-11-20T12:00", "2027-01-01T00:00", id="a month by name"),
        pytest.param("0 0 13 * 5", "2026-11-20T12:00", "2026-11-27T00:00", id="day or weekday, as in Unix"),
        pytest.param("0 0 29 2 *", "2026-11-20T12:00", "2028-02-29T00:00", id="a leap day"),
        pytest.param("5/20 * * * *", "2026-11-20T12:30", "2026-11-20T12:45", id="a step from a start"),
    ],
)
def test_a_cron_line_means_what_it_means_in_unix(line, after, expected):
    assert next_due(Cron(line, spread=0), "hot", at(after)) == at(expected)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("* * * *", "'\\* \\* \\* \\*' is not five cron fields"),
        ("60 * * * *", "'60' is not a minute"),
        ("* 24 * * *", "'24' is not a hour"),
        ("* * 0 * *", "'0' is not a day"),
        ("* * * 13 *", "'13' is not a month"),
        ("* * * * 8", "'8' is not a weekday"),
        ("* * * * fri-mon", "'fri-mon' is not a weekday"),
        ("*/0 * * * *", "'\\*/0' is not a minute"),
        ("5-1 * * * *", "'5-1' is not a minute"),
        ("* * last * *", "'last' is not a day"),
        ("@daily", "is not five cron fields"),
        ("0 0 31 2,4 *", "names a day that no such month has"),
    ],
)
def test_a_cron_line_that_cannot_be_is_refused(line, said):
    with pytest.raises(ValueError, match=said):
        parse_cron(line)


def test_case_08_a_local_time_that_does_not_exist_is_skipped_forward():
    # On 2026-03-29 the clocks of Malta go from 02:00 to 03:00.
    daily = Cron("30 2 * * *", "Europe/Malta", spread=0)

    assert local(fires(daily, at("2026-03-28T00:00"), 3), "Europe/Malta") == [
        "28 02:30",
        "29 03:30",
        "30 02:30",
    ]


def test_case_08_the_skipped_time_is_found_from_within_the_jump_as_well():
    daily = Cron("30 2 * * *", "Europe/Malta", spread=0)

    assert local([next_due(daily, "hot", at("2026-03-29T01:10"))], "Europe/Malta") == ["29 03:30"]


def test_case_08_a_repeated_local_time_counts_once():
    # On 2026-10-25 the clocks of Malta go from 03:00 back to 02:00.
    daily = Cron("30 2 * * *", "Europe/Malta", spread=0)

    assert fires(daily, at("2026-10-24T12:00"), 2) == [at("2026-10-25T00:30"), at("2026-10-26T01:30")]


def test_case_08_a_frequent_line_runs_once_per_wall_label_through_both_changes():
    often = Cron("*/30 * * * *", "Europe/Malta", spread=0)
    spring = local(fires(often, at("2026-03-29T00:15"), 4), "Europe/Malta")
    autumn = local(fires(often, at("2026-10-24T23:45"), 4), "Europe/Malta")

    assert spring == ["29 01:30", "29 03:00", "29 03:30", "29 04:00"]
    assert autumn == ["25 02:00", "25 02:30", "25 03:00", "25 03:30"]


@given(
    st.sampled_from(["*/7 * * * *", "30 2 * * *", "15,45 1-3 * * *", "0 0 1 * 1", "59 23 * * 0"]),
    st.sampled_from(["UTC", "Europe/Malta", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
    st.integers(1_767_225_600, 1_830_000_000).map(lambda s: datetime.fromtimestamp(s, UTC)),
    st.integers(0, 99),
)
def test_cron_times_lie_ahead_and_asking_from_between_gives_the_same(line, location, now, spread):
    timetable = Cron(line, location, spread)
    due = next_due(timetable, "hot", now)
    between = now + (due - now) / 2

    assert due > now
    assert next_due(timetable, "hot", between) == due


def test_accounts_of_one_cron_line_spread_a_little_behind_it():
    daily = Cron("0 6 * * *", spread=10)
    delays = [next_due(daily, f"player-{n}", NOON) - at("2026-11-21T06:00") for n in range(100)]

    assert all(timedelta(0) <= delay < timedelta(minutes=1) for delay in delays)
    assert len(set(delays)) > 90


@pytest.mark.parametrize(
    ("timetable", "gap"),
    [
        (MINUTE, timedelta(minutes=1)),
        (Cron("*/5 * * * *"), timedelta(minutes=5)),
        (Cron("0 9 * * 1-5"), timedelta(days=3)),
        (Cron("0 9-17 * * *"), timedelta(hours=16)),
        (Cron("0 0 1 * *"), timedelta(days=31)),
        (Cron("0 0 1 3,4 *"), timedelta(days=334)),
    ],
)
def test_the_usual_gap_is_the_longest_between_two_runs(timetable, gap):
    assert usual_gap(timetable) == gap


def test_there_is_no_such_zone():
    with pytest.raises(ValueError, match="there is no time zone 'Europe/Vallettta'"):
        zone("Europe/Vallettta")
    with pytest.raises(ValueError, match="there is no time zone"):
        zone("../../etc/passwd")
