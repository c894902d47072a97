"""The highest or lowest value of a rolling window.

An amount is what it was last read as, so a value counts from its reading until another one is read. Kept are
the values that were left, not the one that is read now, and of those only what can still be the extreme: once a
higher value is left, the lower ones before it never matter again. So a quiet account keeps nothing.
"""

import operator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Literal, NamedTuple

from monitor.model.window import BUCKETS, MICROSECOND, micros

Side = Literal["high", "low"]

#: Up to so many steps are exact. Beyond, those that were left within the same sixtieth of the window become one.
STEPS_MAX = BUCKETS + 1


class Step(NamedTuple):
    """A value that was left, and when: whole microseconds since 1970."""

    value: Decimal
    until: int


#: Oldest and most extreme first; both fall off from there.
Steps = tuple[Step, ...]


def leave(steps: Steps, value: Decimal, side: Side, within: timedelta, now: datetime) -> Steps:
    """The steps knowing that another value than `value` was read just now."""
    beyond = operator.gt if side == "high" else operator.lt
    start, until = micros(now - within), micros(now)
    # A clock that was ahead must not make a value last longer than the window.
    kept = tuple(Step(s.value, min(s.until, until)) for s in steps if s.until > start and beyond(s.value, value))
    left = (*kept, Step(value, until))
    return left if len(left) <= STEPS_MAX else _thinned(left, within)


def _thinned(steps: Steps, within: timedelta) -> Steps:
    """One step per sixtieth of the window: the most extreme value of it, lasting as long as the last one did."""
    width = max(1, -(-(within // MICROSECOND) // BUCKETS))
    buckets = [list(bucket) for _, bucket in groupby(steps, lambda step: step.until // width)]
    return tuple(Step(bucket[0].value, bucket[-1].until) for bucket in buckets)


def coarser(steps: Steps, most: int) -> Steps:
    """At most so many steps: neighbours become one, the most extreme of them, lasting as long as the last."""
    if len(steps) <= most:
        return steps
    size = -(-len(steps) // most)
    groups = [steps[at : at + size] for at in range(0, len(steps), size)]
    return tuple(Step(group[0].value, group[-1].until) for group in groups)


def extreme(steps: Steps, within: timedelta, now: datetime) -> Step | None:
    """The most extreme value left during (now - within, now], None when there was none.

    It may have been left up to a sixtieth of the window earlier, if there were more than STEPS_MAX since.
    """
    start = micros(now - within)
    return next((step for step in steps if step.until > start), None)


def alive(steps: Steps, within: timedelta, now: datetime) -> Steps:
    """The same steps, or none when all of them are older than the window.

    Those of a clock that was ahead end now: while nothing changes, nobody would bring them back from the future.
    """
    if not steps or steps[-1].until <= micros(now - within):
        return ()
    latest = micros(now)
    return steps if steps[-1].until <= latest else tuple(Step(s.value, min(s.until, latest)) for s in steps)
