"""The movements that an answer tells of: what came and went since the last one. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from monitor.model.event import Correction, Event, digest, standing
from monitor.model.expected import Budgets, Expected, expect, give_back, take_again
from monitor.model.record import Answer, Record
from monitor.model.snapshot import Change, Snapshot


def imported(answer: Answer, now: datetime) -> tuple[Event, ...]:
    """The movements before the first look, as history."""
    return tuple(replace(_not_from_the_future(event, now), imported=True) for event in answer.imported)


class Moved(NamedTuple):
    """What an answer says of movements.

    `events` are new, with what was expected of them; `corrected` were stored before, and are stored again as they
    stand now. `recorded` are the stored ones that counted before this answer, if they were loaded. `budgets` is what
    is used of expected transfers after it.
    """

    events: tuple[Event, ...]
    budgets: Budgets
    corrected: tuple[Event, ...] = ()
    recorded: tuple[Event, ...] | None = None

    @property
    def undone(self) -> tuple[Event, ...]:
        """What counted and counts no more."""
        return tuple(event for event in self.corrected if event.reverted)

    @property
    def regained(self) -> tuple[Event, ...]:
        """What did not count any more and counts again."""
        return tuple(event for event in self.corrected if not event.reverted)

    @property
    def known(self) -> tuple[Event, ...] | None:
        """The stored ones that count after this answer, if they were loaded."""
        return None if self.recorded is None else standing((*self.recorded, *self.corrected))


def moved(
    record: Record,
    answer: Answer,
    changes: tuple[Change, ...],
    expected: tuple[Expected, ...],
    now: datetime,
    recorded: tuple[Event, ...] | None,
) -> Moved:
    """The movements that are new in an answer, and those it corrects: for these `recorded` must reach back to them."""
    events = tuple(_told(record, answer, changes, now))
    if not (expected or record.budgets or recorded):
        return Moved(events, record.budgets, (), recorded)
    corrected: tuple[Event, ...] = ()
    budgets = record.budgets
    if answer.corrections:
        corrected, instead = _corrected(answer.corrections, recorded or ())
        events += tuple(_not_from_the_future(event, now) for event in instead)
        for event in corrected:
            budgets = give_back(budgets, event) if event.reverted else take_again(budgets, event)
    if expected or budgets:
        events, budgets = expect(expected, budgets, events)
    return Moved(events, budgets, corrected, None if recorded is None else standing(recorded))


def _corrected(
    corrections: Iterable[Correction], recorded: Iterable[Event]
) -> tuple[tuple[Event, ...], tuple[Event, ...]]:
    """Stored movements as they stand now, and new ones that take the place of some.

    What was not stored, or is told as it was, is left alone: a correction of what nobody counted changes nothing.
    """
    last: dict[str, Event] = {}
    for stored in recorded:
        if not stored.imported:
            last |= {stored.id: stored, stored.key or stored.id: stored}
    corrected: list[Event] = []
    instead: list[Event] = []
    for what, was, _, now in corrections:
        if (
            (event := last.get(was)) is None
            or event.reverted == (what != "restored")
            or (now is not None and _same(event, now))
        ):
            continue
        word = replace(event, reverted=what != "restored", revision=event.revision + 1)
        last |= {event.id: word, event.key or event.id: word}
        corrected.append(word)
        instead += [] if now is None else [now]
    return tuple(corrected), tuple(instead)


def _same(event: Event, other: Event) -> bool:
    """Whether two tellings of a movement count the same."""
    return (event.asset, event.direction, event.amount) == (other.asset, other.direction, other.amount)


def _told(record: Record, answer: Answer, changes: tuple[Change, ...], now: datetime) -> Iterator[Event]:
    """The movements as the ledger of an answer tells them, else as its totals do."""
    if answer.events is None:
        return _inferred(record, answer.snapshot, changes)
    return (_not_from_the_future(event, now) for event in answer.events)


def _inferred(record: Record, snapshot: Snapshot, changes: tuple[Change, ...]) -> Iterator[Event]:
    """Movements of a provider without a ledger: whatever its totals grew or fell by.

    The id holds the version read: deciding again gives the same id, the next poll another.
    """
    known = record.snapshot
    for change in changes:
        if change.measure == "total":
            delta = change.delta
            yield Event(
                id=f"evt_{digest(record.account, change.asset, str(record.version))}",
                asset=change.asset,
                kind="inferred",
                direction="in" if delta > 0 else "out",
                amount=delta.copy_abs(),
                occurred_at=snapshot.observed_at,
                balance_after=change.after,
                since=known.seen.get(change.asset, known.observed_at) if known else None,
            )


def _not_from_the_future(event: Event, now: datetime) -> Event:
    return replace(event, occurred_at=now) if event.occurred_at > now else event
