"""Movements that were found late: the windows they belong to are looked at again."""

from collections import deque
from collections.abc import Container, Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from monitor.fields import duration_text
from monitor.model.event import Direction, Event
from monitor.model.money import ZERO, add, subtract

#: How late a movement may be found for its window to be judged again. One that is later still is stored, and told
#: where each movement is judged by itself.
LATENESS = timedelta(days=1)


class Peak(NamedTuple):
    """The largest sum over a window, and when that window ended."""

    amount: Decimal
    at: datetime


def found_late(events: Iterable[Event], now: datetime) -> list[Event]:
    """The movements whose windows are to be judged again."""
    return [event for event in events if event.late and event.occurred_at > now - LATENESS]


def peak(
    events: Iterable[Event], late: Container[str], direction: Direction, within: timedelta, *, net: bool
) -> Peak | None:
    """The most that went one way within any window that holds a movement found late; `late` are their ids."""
    held: deque[Event] = deque()
    running, count = ZERO, 0
    best: Peak | None = None
    for event in sorted(events, key=lambda each: each.occurred_at):
        held.append(event)
        running, count = add(running, _way(event, direction, net=net)), count + (event.id in late)
        while held[0].occurred_at <= event.occurred_at - within:
            gone = held.popleft()
            running, count = subtract(running, _way(gone, direction, net=net)), count - (gone.id in late)
        if count and (best is None or running > best.amount):
            best = Peak(running, event.occurred_at)
    return best


def _way(event: Event, direction: Direction, *, net: bool) -> Decimal:
    if event.direction == direction:
        return event.amount
    return event.amount.copy_negate() if net and event.direction is not None else ZERO


def ago(then: datetime, now: datetime) -> str:
    """`43m`: how long ago, to the minute; seconds below one."""
    passed = max(now - then, timedelta(0))
    unit = timedelta(minutes=1) if passed >= timedelta(minutes=1) else timedelta(seconds=1)
    return duration_text(passed // unit * unit)
