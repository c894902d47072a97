"""Times of the week by the wall clock of a place: when a transfer is expected, when a route is muted. Pure.

A range begins when the clock of its zone first shows its start and ends when that clock first shows its end.
So an hour that the clock repeats does not open a range twice, and a time that the clock jumps over is the
first one after the jump: a range that lies within the jump is empty that day.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from monitor.fields import Section

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = 24 * 60
_MINUTE, _WEEK = timedelta(minutes=1), timedelta(days=8)
_RANGE = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)-(?:([01]?\d|2[0-3]):([0-5]\d)|(24):(00))", re.ASCII)
_WEEKDAY = f"({'|'.join(WEEKDAYS)})"
_WEEKDAYS = re.compile(rf"{_WEEKDAY}(?:-{_WEEKDAY})?", re.ASCII)


def zone(location: str) -> ZoneInfo:
    """The IANA zone; ValueError when there is none of that name."""
    try:
        return ZoneInfo(location)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"there is no time zone {location[:60]!r}, write it like Europe/Malta") from None


@dataclass(frozen=True, slots=True)
class Range:
    """Minutes of the day the range begins on; one past midnight ends on the next day (`end` over 1440)."""

    start: int
    end: int

    def __str__(self) -> str:
        end = self.end if self.end <= _DAY else self.end - _DAY
        return f"{self.start // 60:02}:{self.start % 60:02}-{end // 60:02}:{end % 60:02}"


def _times(value: object) -> Range:
    if isinstance(value, Range):
        return value
    match = _RANGE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'{str(value)[:40]!r} is not a range of times, write it like "08:00-12:00" or "22:00-07:00"')
    numbers = [int(number) for number in match.groups() if number is not None]
    start, end = numbers[0] * 60 + numbers[1], numbers[2] * 60 + numbers[3]
    if start == end:
        raise ValueError(f'{value!r} is empty; the whole day is "00:00-24:00"')
    return Range(start, end if end > start else end + _DAY)


def _weekdays(value: object) -> frozenset[int]:
    if isinstance(value, frozenset):
        return value
    match = _WEEKDAYS.fullmatch(value.lower()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{str(value)[:40]!r} is no day of the week, write {', '.join(WEEKDAYS)} or mon-fri")
    first = WEEKDAYS.index(match[1])
    last = WEEKDAYS.index(match[2]) if match[2] else first
    return frozenset((first + place) % 7 for place in range((last - first) % 7 + 1))


def _days_text(days: frozenset[int]) -> str:
    return "mon-sun" if len(days) == len(WEEKDAYS) else ",".join(WEEKDAYS[day] for day in sorted(days))


Times = Annotated[
    Range,
    BeforeValidator(_times),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": f"^{_RANGE.pattern}$"}),
]
Weekdays = Annotated[
    frozenset[int],
    BeforeValidator(_weekdays),
    PlainSerializer(_days_text, return_type=str),
    WithJsonSchema({"type": "string", "pattern": f"^{_WEEKDAYS.pattern}$", "description": "fri, or mon-fri"}),
]
Location = Annotated[str, AfterValidator(lambda location: zone(location).key)]
_ALL_DAY = (Range(0, _DAY),)
_ALL_WEEK = (frozenset(range(7)),)


class TimeInterval(Section):
    """`{times: ["08:00-12:00"], weekdays: [mon-fri], location: Europe/Malta}`"""

    times: tuple[Times, ...] = Field(
        default=_ALL_DAY, min_length=1, description="ranges of wall clock times; default: the whole day"
    )
    weekdays: tuple[Weekdays, ...] = Field(
        default=_ALL_WEEK, min_length=1, description="days on which a range begins; default: every day"
    )
    location: Location = Field(default="UTC", description="IANA zone of the wall clock")

    @cached_property
    def home(self) -> ZoneInfo:
        return zone(self.location)

    @cached_property
    def days(self) -> frozenset[int]:
        """Monday is 0."""
        return frozenset[int]().union(*self.weekdays)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TimeInterval) and self._said() == other._said()

    def __hash__(self) -> int:
        return hash(self._said())

    def _said(self) -> tuple[Any, ...]:
        # What was derived from it is no part of it.
        return self.times, self.weekdays, self.location


def window(intervals: Iterable[TimeInterval], moment: datetime) -> datetime | None:
    """When the range that a moment lies in began, in UTC; the earliest of several, None for none."""
    begun = [start for one in intervals if (start := _window(one, moment)) is not None]
    return min(begun, default=None)


def last_window(intervals: Iterable[TimeInterval], since: datetime, until: datetime) -> datetime | None:
    """When the last range began that has a moment after `since` and up to `until`; None when there is none."""
    weekly = max(since, until - _WEEK)
    begun = (
        start
        for one in intervals
        for start, end in _ranges(one, weekly.astimezone(one.home).date(), until.astimezone(one.home).date())
        if start <= until and end > since
    )
    return max(begun, default=None)


def stretch(intervals: Iterable[TimeInterval], moment: datetime) -> tuple[bool, datetime, datetime | None]:
    """Whether a moment lies in any of the intervals, since when that is so, and until when: None for ever.

    It is looked for eight days around, by when every week has shown what it has.
    """
    begun, over = moment - _WEEK, moment + _WEEK
    since, until, inside = begun, over, False
    for start, end in _merged(intervals, begun, over):
        if start <= moment < end:
            since, until, inside = max(start, begun), min(end, over), True
        elif end <= moment:
            since = max(since, end)
        elif start > moment and not inside:
            until = min(until, start)
    return inside, since, until if until < over else None


def _merged(intervals: Iterable[TimeInterval], since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    """When any of the intervals hold around these times, without overlaps and without gaps of no length."""
    found = sorted(
        (start, end)
        for one in intervals
        for start, end in _ranges(one, since.astimezone(one.home).date(), until.astimezone(one.home).date())
        if start < end
    )
    merged: list[tuple[datetime, datetime]] = []
    for start, end in found:
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _window(interval: TimeInterval, moment: datetime) -> datetime | None:
    today = moment.astimezone(interval.home).date()
    return next((start for start, end in _ranges(interval, today, today) if start <= moment < end), None)


def _ranges(interval: TimeInterval, first: date, last: date) -> Iterator[tuple[datetime, datetime]]:
    """When the ranges begin and end that may touch these days."""
    # A range past midnight, or past a clock's change of date, began on the day before.
    for place in range(-1, (last - first).days + 1):
        day = first + timedelta(days=place)
        if day.weekday() in interval.days:
            for times in interval.times:
                yield _instant(interval.home, day, times.start), _instant(interval.home, day, times.end)


@lru_cache(maxsize=4096)
def _instant(home: ZoneInfo, day: date, minute: int) -> datetime:
    """When the clock first shows a minute of a day or, when it jumps over that, the first one after it."""
    shown = datetime(day.year, day.month, day.day) + minute * _MINUTE  # noqa: DTZ001 - what a wall clock shows
    while True:
        at = shown.replace(tzinfo=home).astimezone(UTC)
        if at.astimezone(home).replace(tzinfo=None) == shown:
            return at
        shown += _MINUTE
