"""What Pacifica's ledger rows say: new events, and what they are now that was told otherwise before. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from monitor.model.event import Correction, Direction, Event, Ledger, Walked, digest
from monitor.model.money import ZERO, add, subtract
from monitor.model.record import Account
from monitor.model.window import EPOCH, moment
from monitor.providers.answers import cut
from monitor.providers.pacifica_rows import ASSET, KINDS, Row

#: Nothing occurred before.


@dataclass(frozen=True, slots=True)
class History:
    """What a look at the ledger gave."""

    ledger: Ledger | None
    events: tuple[Event, ...] = ()
    gap: str = ""
    restated: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    lost: str = ""
    explained: Decimal = ZERO
    imported: tuple[Event, ...] = ()
    corrections: tuple[Correction, ...] = ()


def events_of(
    rows: Sequence[Row], walked: Walked, account: Account, late: datetime, now: datetime
) -> tuple[Event, ...]:
    """The new rows as events; `rows` are oldest first, in the order of the walk.

    What occurred before `late` is marked so; a time in the future is clamped to `now`.
    """
    return tuple(_event(rows, index, walked, account, late, now) for index in walked.fresh)


def imported_of(rows: Sequence[Row], walked: Walked, account: Account, now: datetime) -> tuple[Event, ...]:
    """The rows of a baseline that were read whole, as history."""
    return tuple(_event(rows, i, walked, account, EPOCH, now) for i, key in enumerate(walked.keys) if key)


def corrections_of(
    rows: Sequence[Row], walked: Walked, account: Account, late: datetime, now: datetime
) -> tuple[Correction, ...]:
    """What the rows say otherwise than before: taken back, there again, or with other figures."""

    def name(key: str) -> str:
        return digest(account.provider, account.name, key)

    found = [Correction("restored", name(walked.keys[i]), moment(rows[i].at)) for i in walked.returned]
    for index, was in walked.replaced.items():
        event = _event(rows, index, walked, account, late, now)
        found.append(Correction("replaced", name(was), moment(walked.times[was]), event))
    found += [Correction("reverted", name(key), moment(walked.times[key])) for key in walked.gone]
    return tuple(found)


def _event(rows: Sequence[Row], index: int, walked: Walked, account: Account, late: datetime, now: datetime) -> Event:
    row, at = rows[index], min(moment(rows[index].at), now)
    return Event(
        id=digest(account.provider, account.name, walked.keys[index]),
        asset=ASSET,
        kind=cut(row.event_type),
        direction=direction(row, rows[index - 1] if index else None),
        amount=row.amount.copy_abs(),
        occurred_at=at,
        balance_after=row.balance,
        late=at < late,
    )


def restated(walked: Walked) -> tuple[str, ...]:
    """What to say in the log of rows that are not what they were."""
    texts = (
        (len(walked.changed), "restated"),
        (len(walked.gone), "taken back"),
        (len(walked.returned), "there again"),
    )
    return tuple(f"{count} rows were {what}" for count, what in texts if count)


def explained(rows: Sequence[Row], walked: Walked) -> Decimal:
    """What the new rows moved the balance by: the balances are believed, the first row of all has only its amount.

    A deposit that is pending has an amount, and moves nothing yet.
    """
    moved = ZERO
    for index in walked.fresh:
        row = rows[index]
        moved = add(moved, subtract(row.balance, rows[index - 1].balance) if index else row.amount)
    return moved


def direction(row: Row, older: Row | None) -> Direction | None:
    """Which way the money went, by the balances; without an older row by the kind, else by a minus sign."""
    if older is not None and row.balance != older.balance:
        return "in" if row.balance > older.balance else "out"
    return KINDS.get(row.event_type) or ("out" if row.amount < 0 else None)


def doubts(rows: Sequence[Row], walked: Walked) -> dict[str, str]:
    """What is odd about new rows, by kind: a kind we do not know, an amount its balances contradict."""
    found = {}
    for index in walked.fresh:
        row, older = rows[index], rows[index - 1] if index else None
        kind = cut(row.event_type)
        if row.event_type not in KINDS:
            found[f"kind {kind}"] = f"the event kind {kind!r} is not documented; it counts as a change"
        if older is not None and row.balance not in (older.balance, add(older.balance, row.amount)):
            found[f"sign {kind}"] = f"amounts of {kind!r} do not add up to the balances, which are believed"
    return found
