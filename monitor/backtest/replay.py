"""Replays the stored past of one account through its rules: the daemon's decisions, on a virtual clock.

past ─▶ a poll wherever something changed ─▶ decide ─▶ rows for the channels
          └▶ and, as often as the account is polled, one that read the same, while that can change anything

History holds changes only: between two of them every poll read the same, or failed, which nothing tells.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from monitor.backtest.calm import unmoved_until
from monitor.engine.policy import Policy
from monitor.model.event import Correction, Event
from monitor.model.past import Past
from monitor.model.record import Account, Answer, Point, Row
from monitor.model.snapshot import Snapshot
from monitor.model.window import MICROSECOND, NEVER
from monitor.rules.base import RuleBase
from monitor.schedule import Every, Timetable, next_due
from monitor.virtual import Virtual


@dataclass(frozen=True, slots=True)
class Span:
    """What is replayed: from `warm_from` on windows fill up, from `since` on alerts live, until `until`."""

    warm_from: datetime
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Life:
    """One account as it is judged. `infers`: its movements are derived from `total`; `drops_zero`: what its provider
    does not name is zero."""

    account: Account
    rules: tuple[RuleBase, ...]
    policy: Policy
    timetable: Timetable
    infers: bool = False
    drops_zero: bool = False

    def next_poll(self, after: datetime, at_least: datetime) -> datetime:
        """The first poll after one that is not before `at_least`. An interval counts from the poll before."""
        if isinstance(self.timetable, Every):
            interval = self.timetable.interval
            return after + max(1, -((after - at_least) // interval)) * interval
        return next_due(self.timetable, self.account.name, max(after, at_least - MICROSECOND))

    def last_before(self, now: datetime, until: datetime) -> datetime:
        """The last poll before `until`, counted from one now. `now`: there is none, or it is not worth finding."""
        if isinstance(self.timetable, Every):
            return now + max(0, -((now - until) // self.timetable.interval) - 1) * self.timetable.interval
        return now


@dataclass(frozen=True, slots=True)
class Step:
    """A poll that told something new, or (`first`) the one that alerts begin with."""

    at: datetime
    amounts: Mapping[str, Mapping[str, Decimal]]
    events: tuple[Event, ...]
    first: bool = False


def replay(
    life: Life, past: Past, span: Span, *, every_poll: bool = False, tick: Callable[[datetime], None] = lambda _: None
) -> Iterator[tuple[datetime, Row]]:
    """What the decisions owe and when, oldest first; `tick` hears how far it has come.

    Alerts begin at `span.since`, as if the rules had come into force then; what lies before only fills windows.
    With `every_poll` no poll is left out, which takes longer and tells the same.
    """
    virtual = Virtual(life.account, life.rules, life.policy)
    steps = list(steps_of(past, span))
    for place, step in enumerate(steps):
        if step.first:
            virtual.record = replace(virtual.record, alerts=(), lately={}, judged=None)
        shot, rows = _read(life, past, virtual, step)
        if step.at >= span.since:
            yield from ((step.at, row) for row in rows)
            end = steps[place + 1].at if place + 1 < len(steps) else span.until
            yield from _repeated(life, virtual, shot, end, every_poll=every_poll)
        tick(step.at)


def steps_of(past: Past, span: Span) -> Iterator[Step]:
    """Every instant at which something changed, with all that was known then; and the one that alerts begin with.

    Before an asset's first point it is unknown. Nothing known is nothing to poll.
    """
    points: dict[datetime, list[Point]] = {}
    events: dict[datetime, list[Event]] = {}
    for point in past.points:
        # What held before the replay begins is read by its first poll.
        points.setdefault(max(point.at, span.warm_from), []).append(point)
    for at, event in past.events:
        if not event.imported:
            # What is expected of it, and who tells of it, is for these rules to say.
            events.setdefault(at, []).append(replace(event, expected=(), told=()))
    amounts: dict[str, dict[str, Decimal]] = {}
    for at in sorted({*points, *events, span.since}):
        if at > span.until:
            return
        amounts = _after(amounts, points.get(at, ()))
        first = at == span.since
        if amounts or at in events:
            yield Step(at, amounts, tuple(events.get(at, ())), first)


def _after(amounts: dict[str, dict[str, Decimal]], points: Iterable[Point]) -> dict[str, dict[str, Decimal]]:
    """The amounts with these points; what was handed out before stays as it was."""
    changed: dict[str, dict[str, Decimal]] = {}
    for point in points:
        known = changed.setdefault(point.asset, dict(amounts.get(point.asset, {})))
        known[point.measure] = point.value
    return {**amounts, **changed} if changed else amounts


def _read(life: Life, past: Past, virtual: Virtual, step: Step) -> tuple[Snapshot, tuple[Row, ...]]:
    """The poll of a step: what it read, and what was owed for it."""
    # Before the ledger begins, perhaps because it was trimmed, movements are what totals differ by.
    ledger_from = past.events[0][0] if past.events else NEVER
    events = None if life.infers and step.at < ledger_from else tuple(e for e in step.events if not e.revision)
    corrections = tuple(_corrected(event) for event in step.events if event.revision)
    # Where history is coarse, the first value of an asset may merely be the first that is left.
    from_zero = life.drops_zero and (past.fine_from is None or step.at >= past.fine_from)
    shot = Snapshot(step.at, step.amounts, absent_is_zero=from_zero)
    return shot, virtual.decide(Answer(shot, events, corrections=corrections), step.at).rows


def _corrected(event: Event) -> Correction:
    """What the provider said then of a movement it had told before."""
    return Correction("reverted" if event.reverted else "restored", event.id, event.occurred_at)


def _repeated(
    life: Life, virtual: Virtual, shot: Snapshot, end: datetime, *, every_poll: bool
) -> Iterator[tuple[datetime, Row]]:
    """The polls until `end` that read the same again, as far as they may change something.

    The first one always may: what was new is not new any more.
    """
    at = life.next_poll(shot.observed_at, shot.observed_at)
    while at < end:
        rows = virtual.decide(Answer(replace(shot, observed_at=at), ()), at).rows
        yield from ((at, row) for row in rows)
        until = at if every_poll else min(unmoved_until(virtual, at), end)
        if virtual.record.valued:
            # Of a worth it is told when it was last good: at the poll just before.
            until = life.last_before(at, until)
        at = life.next_poll(at, until)
