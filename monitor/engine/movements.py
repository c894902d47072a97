"""The movements that an answer tells of: what came and went since the last one. Pure."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from monitor.model.event import Event, digest
from monitor.model.expected import Budgets, Expected, expect
from monitor.model.record import Answer, Record
from monitor.model.snapshot import Change, Snapshot


def moved(
    record: Record, answer: Answer, changes: tuple[Change, ...], expected: tuple[Expected, ...], now: datetime
) -> tuple[tuple[Event, ...], Budgets]:
    """The movements that are new in an answer, with what was expected of them, and what is used of the budgets then."""
    events = tuple(_told(record, answer, changes, now))
    if not expected and not record.budgets:
        return events, record.budgets
    return expect(expected, record.budgets, events)


def _told(record: Record, answer: Answer, changes: tuple[Change, ...], now: datetime) -> Iterator[Event]:
    """The movements as the ledger of an answer tells them, else as its totals do."""
    if answer.events is None:
        return _inferred(record, answer.snapshot, changes)
    return (_not_from_the_future(event, now) for event in answer.events)


def _inferred(record: Record, snapshot: Snapshot, changes: tuple[Change, ...]) -> Iterator[Event]:
    """Movements of a provider without a ledger: whatever its totals grew or fell by.

    The id holds the version read: deciding again gives the same id, the next poll another.
    """
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
            )


def _not_from_the_future(event: Event, now: datetime) -> Event:
    return replace(event, occurred_at=now) if event.occurred_at > now else event
