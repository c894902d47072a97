"""Rolling sums of money in and out, exact or with known bounds.

A ring is a cache of the ledger: buckets of a sixtieth of the window, or of another share. The one bucket that
straddles the window's start makes two bounds; only when a threshold lies between them are its events read.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from monitor.model.event import Direction, Event
from monitor.model.money import ZERO, add, subtract, total

#: Buckets per window unless a rule wants others; one more is kept, the straddling one.
BUCKETS = 60
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Later than anything that happens.
NEVER = datetime.max.replace(tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    """Whole microseconds since 1970, UTC."""
    return (moment - EPOCH) // MICROSECOND


def moment(us: int) -> datetime:
    """The inverse of `micros`."""
    return EPOCH + us * MICROSECOND


def utc_text(moment: datetime) -> str:
    """As everywhere for machines, rounded down to the millisecond: `2026-11-20T12:00:00.000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


@dataclass(frozen=True, slots=True)
class Flow:
    """Sums per bucket of one asset and window: bucket number → (in, out).

    `opening` is bucket number → `total` when it began: the base of percentages. `buckets` are those of a window.
    `since` (microseconds since 1970) is set in a ring that is younger than the account's others: what moved
    before then is not known.
    """

    width: int
    sums: Mapping[int, tuple[Decimal, Decimal]] = field(default_factory=dict)
    opening: Mapping[int, Decimal] = field(default_factory=dict)
    buckets: int = BUCKETS
    since: int = 0


class Coverage(NamedTuple):
    """What an account's record says of an asset that has no ring, for one rule's needs.

    `whole`: nothing was counted since `since` (microseconds since 1970) or for the length of the window, and
    the total stayed as it is. Else the record had no room for some ring, and the ledger must be asked.
    """

    since: int
    whole: bool = True


class Bounds(NamedTuple):
    """The true sum lies within, both ends included."""

    low: Decimal
    high: Decimal

    @property
    def exact(self) -> bool:
        return self.low == self.high

    def narrowed(self, amount: Decimal) -> "Bounds":
        """What the stored movements come to; where fewer of them are kept than were counted, what was counted."""
        return Bounds(amount, amount) if self.low <= amount <= self.high else self


def flow(within: timedelta, buckets: int = BUCKETS, since: int = 0) -> Flow:
    """An empty ring for a window."""
    # Rounded up: the buckets never span less than the window, so the straddling one is always kept.
    return Flow(width=max(1, -(-(within // MICROSECOND) // buckets)), buckets=buckets, since=since)


def record_flow(ring: Flow, events: Iterable[Event], now: datetime, spare: int = 0) -> Flow:
    """The ring with these events in it and buckets older than the window dropped, or than those that end at them.

    `spare` buckets more are kept, for windows that are over and of which more may become known.
    """
    sums, latest = dict(ring.sums), micros(now) // ring.width
    ends = latest
    if sums and max(sums) > latest:
        # A clock that was ahead must not make a movement count for longer than the window.
        ahead = [sums.pop(bucket) for bucket in tuple(sums) if bucket >= latest]
        sums[latest] = total(came for came, _ in ahead), total(went for _, went in ahead)
    for event in events:
        if event.direction is None:
            continue
        bucket = min(micros(event.occurred_at) // ring.width, latest)
        if bucket < latest - ring.buckets - spare:
            continue
        ends = min(ends, bucket)
        came, went = sums.get(bucket, (ZERO, ZERO))
        sums[bucket] = (add(came, event.amount), went) if event.direction == "in" else (came, add(went, event.amount))
    kept = {bucket: pair for bucket, pair in sums.items() if bucket >= ends - ring.buckets - spare}
    return ring if kept == ring.sums else replace(ring, sums=kept)


def undo_flow(ring: Flow, events: Iterable[Event], within: timedelta, now: datetime) -> Flow:
    """The ring without these events, which were counted in it: as if they had never been."""
    sums = dict(ring.sums)
    for event in events:
        bucket = micros(event.occurred_at) // ring.width
        if event.direction is None or bucket not in sums or event.occurred_at <= now - within:
            continue
        came, went = sums.pop(bucket)
        came, went = (
            (came, subtract(went, event.amount)) if event.direction == "out" else (subtract(came, event.amount), went)
        )
        # Of a bucket that a clock set back has moved, no more is taken than is there.
        if came > 0 or went > 0:
            sums[bucket] = max(came, ZERO), max(went, ZERO)
    return ring if sums == ring.sums else replace(ring, sums=sums)


def record_opening(ring: Flow, read: Decimal, now: datetime) -> Flow:
    """The ring knowing the total from the next bucket on: what was read last before a bucket opened it."""
    bucket = micros(now) // ring.width
    if not ring.opening or min(ring.opening) > bucket:
        # None yet, or all of them by a clock that was ahead.
        return replace(ring, opening={bucket: read})
    newest = max(ring.opening)
    if ring.opening[newest] == read and bucket - ring.buckets <= min(ring.opening):
        return ring
    # The newest opening at or before the window's start is still what the window started with.
    start = max((number for number in ring.opening if number <= bucket - ring.buckets), default=bucket - ring.buckets)
    live = {number: value for number, value in sorted(ring.opening.items()) if start <= number <= bucket}
    # Equal neighbours say nothing new: a quiet account keeps one opening, not sixty.
    if live[max(live)] != read:
        live[bucket + 1] = read
    return ring if live == ring.opening else replace(ring, opening=live)


def begun(
    within: timedelta,
    total_now: Decimal | None,
    movements: Iterable[Event],
    now: datetime,
    *,
    buckets: int = BUCKETS,
    since: int = 0,
) -> Flow:
    """An empty ring that knows its window's openings, walked back from the total through all its movements."""
    ring = flow(within, buckets, since)
    if total_now is None:
        return ring
    start = micros(now - within) // ring.width
    moved = sorted((micros(each.occurred_at) // ring.width, each.signed) for each in movements)
    inside = [(bucket, signed) for bucket, signed in moved if bucket >= start]
    running = subtract(total_now, total(signed for _, signed in inside))
    opening = {start: running}
    for bucket, signed in inside:
        running = add(running, signed)
        opening[bucket + 1] = running
    return replace(ring, opening=opening)


def flow_bounds(ring: Flow, direction: Direction, within: timedelta, now: datetime) -> Bounds:
    """The sum of one direction over (now - within, now]: bounds that differ by the straddling bucket."""
    if not ring.sums:
        return Bounds(ZERO, ZERO)
    straddling = micros(now - within) // ring.width
    side = 0 if direction == "in" else 1
    whole = ZERO
    for bucket, pair in ring.sums.items():
        if bucket > straddling:
            whole = add(whole, pair[side])
    part = ring.sums.get(straddling, (ZERO, ZERO))[side]
    return Bounds(whole, add(whole, part))


def gross_flow(ring: Flow, direction: Direction) -> Decimal:
    """No less than any window of one direction whose buckets the ring holds."""
    side, running, most = 0 if direction == "in" else 1, ZERO, ZERO
    held = deque[int]()
    for bucket in sorted(ring.sums):
        held.append(bucket)
        running = add(running, ring.sums[bucket][side])
        while held[0] < bucket - ring.buckets:
            running = subtract(running, ring.sums[held.popleft()][side])
        most = max(most, running)
    return most


def exact_flow(events: Iterable[Event], direction: Direction, within: timedelta, now: datetime) -> Decimal:
    """The sum over (now - within, now] from the events themselves."""
    start = now - within
    result = ZERO
    for event in events:
        if event.direction == direction and start < event.occurred_at:
            result = add(result, event.amount)
    return result


def opening_total(ring: Flow, within: timedelta, now: datetime) -> Decimal | None:
    """The total at the window's start, to a bucket's resolution; the oldest known if the ring is younger."""
    if not ring.opening:
        return None
    start = micros(now - within) // ring.width
    before = [number for number in ring.opening if number <= start]
    return ring.opening[max(before) if before else min(ring.opening)]
