"""When an account is due: a fixed grid of its own, or a cron line on the wall clock. Pure and cheap.

Every process and every restart computes the same instants. A late poll is not made up for: the next due time
is simply the next one after now.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice

from apscheduler.triggers.cron import CronTrigger

from monitor.engine.calendar import zone
from monitor.model.window import EPOCH, MICROSECOND

#: A poll once a day should not be long in coming either, when it is the first.
FIRST_SPREAD_MAX = timedelta(minutes=5)
#: A cron line names an instant people chose; polls may spread behind it, but not by hours.
CRON_SPREAD_MAX = timedelta(minutes=1)
#: Any fixed Monday: gaps of a cron line are measured from here, so that they never depend on today.
_MONDAY = datetime(2024, 1, 1, tzinfo=UTC)
#: Enough for every minute of a week; a measurement takes at most a second, once for each line.
_MEASURED_MAX = 12_000
#: A gap of the clocks is never longer; further back no local time was skipped.
_LOOK_BACK = timedelta(hours=3)

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
#: Name, lowest, highest, and names of the values from the lowest on.
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("weekday", 0, 7, _DAYS),
)
_ITEM = re.compile(r"(?:\*|([0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3}))?)(?:/([0-9]{1,2}))?", re.ASCII)
_LONGEST_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True, slots=True)
class Every:
    """Each `interval`. `spread` is the part of it (percent) over which first polls are started."""

    interval: timedelta
    spread: int = 10


@dataclass(frozen=True, slots=True)
class Cron:
    """At the times of a cron line in an IANA zone, each account up to `spread` percent of the gap later."""

    line: str
    location: str = "UTC"
    spread: int = 10


#: When to poll. Equal ones are shared: a hundred thousand accounts need a handful.
Timetable = Every | Cron


def first_due(timetable: Timetable, account: str, now: datetime) -> datetime:
    """When an account that was never polled is due: soon, but not all at the same instant."""
    if isinstance(timetable, Cron):
        return next_due(timetable, account, now)
    within = min(timetable.interval * timetable.spread // 100, FIRST_SPREAD_MAX)
    return now + _part(within, account)


def next_due(timetable: Timetable, account: str, after: datetime) -> datetime:
    """The first due time after `after`, in UTC.

    An interval's grid starts at 1970 plus an offset from a hash of the account (none when the spread is 0),
    so neither restarts nor other processes move it: APScheduler's interval trigger, without an object each.
    """
    if isinstance(timetable, Every):
        offset = _part(timetable.interval, account) if timetable.spread else timedelta(0)
        passed = (after - EPOCH - offset) // timetable.interval
        return EPOCH + offset + (passed + 1) * timetable.interval
    delay = _delay(timetable, account)
    # The delay is part of the grid: an instant is over only when its delayed one is.
    return _fire(timetable.line, timetable.location, after - delay) + delay


def usual_gap(timetable: Timetable) -> timedelta:
    """The interval, or the longest time between two runs of a cron line (daylight saving aside)."""
    return timetable.interval if isinstance(timetable, Every) else _longest_gap(timetable.line)


@lru_cache(maxsize=4096)
def parse_cron(line: str) -> tuple[CronTrigger, ...]:
    """The triggers of five Unix fields, on a clock without daylight saving; ValueError says what is wrong.

    As in Unix, weekday 0 and 7 are Sunday, and a line that restricts both day and weekday means either.
    """
    parts = line.lower().split()
    if len(parts) != 5:
        raise ValueError(f"{line[:60]!r} is not five cron fields: minute hour day month weekday")
    sets = [_values(part, *field) for part, field in zip(parts, _FIELDS, strict=True)]
    minute, hour, day, month, weekday = sets
    days = {**_crons(minute, hour, month), "day": _text(day)}
    # APScheduler counts Monday as 0; names leave no doubt.
    weekdays = {
        **_crons(minute, hour, month),
        "day_of_week": ",".join(sorted({_DAYS[n % 7] for n in weekday})),
    }
    if parts[4] == "*":
        chosen = [days]
    elif parts[2] == "*":
        chosen = [weekdays]
    else:
        chosen = [days, weekdays]
    if chosen == [days] and all(min(day) > _LONGEST_MONTH[number - 1] for number in month):
        raise ValueError(f"{line[:60]!r} names a day that no such month has")
    return tuple(CronTrigger(second=0, timezone=UTC, **fields) for fields in chosen)


def _crons(minute: list[int], hour: list[int], month: list[int]) -> dict[str, str]:
    return {"minute": _text(minute), "hour": _text(hour), "month": _text(month)}


def _text(values: list[int]) -> str:
    return ",".join(map(str, values))


def _values(part: str, name: str, low: int, high: int, names: tuple[str, ...]) -> list[int]:
    """All values that one cron field names."""
    found: set[int] = set()
    for item in part.split(","):
        match = _ITEM.fullmatch(item)
        try:
            if match is None:
                raise ValueError
            start, end, step = match.groups()
            first = _value(start, low, names) if start else low
            # `5/10` runs on to the end, `5` alone does not.
            last = _value(end, low, names) if end else first if start and not step else high
            if not low <= first <= last <= high or step == "0":
                raise ValueError
        except ValueError:
            raise ValueError(f"{item[:30]!r} is not a {name} of a cron line ({low}-{high})") from None
        top = 6 if name == "weekday" and not end and last == high and first != high else last
        found.update(range(first, top + 1, int(step or 1)))
    return sorted(found)


def _value(text: str, low: int, names: tuple[str, ...]) -> int:
    return int(text) if text.isdecimal() else names.index(text) + low


def _fire(line: str, location: str, after: datetime) -> datetime:
    """The next instant after `after` at which a wall clock in that zone shows a time of the line.

    A local time that does not exist is skipped forward by the clock's jump, a repeated one counts once.
    """
    home = zone(location)
    here = after.astimezone(home)
    back = timedelta(0)
    if (after - _LOOK_BACK).astimezone(home).utcoffset() != here.utcoffset():
        back = _LOOK_BACK
    wall = here.replace(tzinfo=UTC, fold=0) - back
    for shown in _walls(line, wall):
        # fold=0: the first of two equal hours; in a gap, the offset before it, hence later on the new clock.
        at = shown.replace(tzinfo=home, fold=0).astimezone(UTC)
        if at > after:
            return at
    raise AssertionError(f"the cron line {line!r} never comes again")


def _walls(line: str, after: datetime) -> Iterator[datetime]:
    """The times of a cron line after `after`, on a clock without daylight saving."""
    triggers = parse_cron(line)
    while True:
        nexts = [trigger.get_next_fire_time(None, after + MICROSECOND) for trigger in triggers]
        known = [at for at in nexts if at is not None]
        if not known:
            return
        after = min(known)
        yield after


def _delay(timetable: Cron, account: str) -> timedelta:
    most = min(_longest_gap(timetable.line) * timetable.spread // 100, CRON_SPREAD_MAX)
    return _part(most, account)


@lru_cache(maxsize=4096)
def _longest_gap(line: str) -> timedelta:
    """Over a week for a line of hours and weekdays, over a year for one of dates."""
    _, hour, day, month, weekday = line.split()
    span = timedelta(days=8 if day == month == "*" else 400)
    if hour == day == month == weekday == "*":
        span = timedelta(hours=3)
    longest, before = timedelta(0), None
    for at in islice(_walls(line, _MONDAY - MICROSECOND), _MEASURED_MAX):
        if before is not None:
            longest = max(longest, at - before)
            if at - _MONDAY > span:
                break
        before = at
    return longest


def _part(whole: timedelta, account: str) -> timedelta:
    """A part of a time that is always the same for an account, and evenly spread over many."""
    name = hashlib.blake2b(account.encode("utf-8", "replace"), digest_size=4).digest()
    return timedelta(microseconds=whole // MICROSECOND * int.from_bytes(name, "big") >> 32)
