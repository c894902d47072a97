"""Movements that are new belong to windows that may be over before anybody looks: those are judged as well.

A window is worst where a movement ends it, so it is enough to look at those that end at one and hold a new one.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import NamedTuple

from monitor.fields import duration_text
from monitor.model.event import Direction, Event
from monitor.model.money import RATIO, ZERO
from monitor.rules.facts import FlowSpec, Overview, Sighting

#: How late a movement may be found for its window to be judged. One that is later still is stored, and told
#: where each movement is judged by itself.
LATENESS = timedelta(days=7)


class Peak(NamedTuple):
    """The largest sum over a window, and when that window ended."""

    amount: Decimal
    at: datetime


def in_time(events: Iterable[Event], now: datetime) -> list[Event]:
    """The movements whose windows are to be judged."""
    return [event for event in events if event.occurred_at > now - LATENESS]


def new_moves(events: Iterable[Event], direction: Direction, spec: FlowSpec, now: datetime) -> dict[str, list[Event]]:
    """Asset → the movements whose windows are to be judged, of one direction and as far as they count."""
    found: dict[str, list[Event]] = {}
    for event in in_time(events, now):
        if event.direction == direction and spec.counts(event) and not event.reverted:
            found.setdefault(event.asset, []).append(event)
    return found


def reach_back(new: Iterable[Event], facts: Sighting | Overview, within: timedelta, *, net: bool) -> bool:
    """Whether a window that ends at one of these may begin before what a ring still holds of it.

    What is `net` of the other way is judged as it stood at each reading: what came back before that is no news.
    """
    since = facts.now - within
    if isinstance(facts, Sighting) and facts.previous is not None and not net:
        since = max(since, facts.previous.observed_at)
    return any(event.late or event.occurred_at <= since for event in new)


def all_moves(facts: Sighting, spec: FlowSpec) -> Mapping[str, list[Event]]:
    """Asset → the movements that count, the stored ones and this poll's, each once."""
    found: dict[str, list[Event]] = {}
    for event in {event.id: event for event in (*(facts.recorded or ()), *facts.events)}.values():
        if spec.counts(event):
            found.setdefault(event.asset, []).append(spec.as_counted(event))
    return found


def peak(
    events: Iterable[Event], new: Iterable[Event], way: Callable[[Event], Decimal], within: timedelta
) -> Peak | None:
    """The most that went one way within any window that holds a new movement; `way` says how much each adds."""
    held, names = deque[tuple[Event, Decimal, bool]](), {(event.account, event.id) for event in new}
    running, count = ZERO, 0
    best: Peak | None = None
    for at, together in groupby(sorted(events, key=_when), key=_when):
        for event in together:
            held.append((event, way(event), (event.account, event.id) in names))
            running, count = RATIO.add(running, held[-1][1]), count + held[-1][2]
        while held[0][0].occurred_at <= at - within:
            _, amount, was_new = held.popleft()
            running, count = RATIO.subtract(running, amount), count - was_new
        if count and (best is None or running > best.amount):
            best = Peak(running, at)
    return best


def _when(event: Event) -> datetime:
    return event.occurred_at


def ago(then: datetime, now: datetime) -> str:
    """`43m`: how long ago, to the minute; seconds below one."""
    passed = max(now - then, timedelta(0))
    unit = timedelta(minutes=1) if passed >= timedelta(minutes=1) else timedelta(seconds=1)
    return duration_text(passed // unit * unit)
