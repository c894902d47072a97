"""What Kaiko's rows mean: an address's balance, its events, and the account that sums them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from monitor.model.asset import bare
from monitor.model.event import Correction, Event, Ledger, LedgerRow, Walked, digest
from monitor.model.money import EXACT, subtract, total
from monitor.model.record import Account, Answer
from monitor.model.snapshot import Snapshot
from monitor.model.window import EPOCH, moment
from monitor.providers.answers import cut
from monitor.providers.kaiko_rows import ASSET, Row, usd_of

#: The vendor prices a balance at its last transaction; older than this it is no price any more.
USD_MAX_AGE = timedelta(hours=2)
#: Nothing occurred before.


@dataclass(frozen=True, slots=True)
class Reading:
    """What one poll learned of one address. `balance` None: it is not known, and `why` tells.

    `gap`: the walk over the rows is not complete; then `ledger` stands where it stood, or at the end of
    the part that was read whole.
    """

    address: str
    ledger: Ledger | None
    balance: Decimal | None = None
    usd: Decimal | None = None
    why: str = ""
    gap: str = ""
    events: tuple[Event, ...] = ()
    restated: tuple[str, ...] = ()
    corrections: tuple[Correction, ...] = ()
    imported: tuple[Event, ...] = ()


def priced(row: Row, now: datetime) -> Decimal | None:
    """The dollar value of the balance after `row`, while that is recent."""
    return usd_of(row) if now - moment(row.at) <= USD_MAX_AGE else None


def combine(account: Account, readings: Sequence[Reading], before: Mapping[str, Ledger], now: datetime) -> Answer:
    """The account's answer. Its balance is known only if every address's is: a sum of some is no sum."""
    unknown = [reading for reading in readings if reading.balance is None]
    balances = [reading.balance for reading in readings if reading.balance is not None]
    values = [reading.usd for reading in readings if reading.usd is not None]
    summed = {"available": total(balances), "total": total(balances)}
    missing = [ASSET] if unknown else []
    missing += [a for a in account.assets if bare(a).upper() != ASSET and a not in missing]
    ledgers = {r.address: r.ledger or before.get(r.address) for r in readings}
    events = sorted((e for r in readings for e in r.events), key=lambda event: event.occurred_at)
    return Answer(
        snapshot=Snapshot(
            observed_at=now,
            amounts={} if unknown else {ASSET: summed},
            usd={ASSET: total(values)} if len(values) == len(readings) else {},
            missing=tuple(missing),
            why="; ".join(f"{reading.address}: {reading.why}" for reading in unknown),
        ),
        events=tuple(events),
        ledgers={address: ledger for address, ledger in ledgers.items() if ledger is not None},
        gap="; ".join(f"{reading.address}: {reading.gap}" for reading in readings if reading.gap),
        restated=tuple(text for reading in readings for text in reading.restated),
        corrections=tuple(one for reading in readings for one in reading.corrections),
        imported=tuple(sorted((e for r in readings for e in r.imported), key=lambda event: event.occurred_at)),
    )


def ledger_row(row: Row, address: str) -> LedgerRow:
    """Its key is where the row stands; the amount is what a correction may change."""
    name = "|".join((row.transaction_hash, address, str(row.internal_transaction_index), row.direction))
    return LedgerRow(tuple_key=f"{name}|{EXACT.normalize(row.amount)}", at=row.at, name=name)


class Heard(NamedTuple):
    """What a walk says: new events, what is told otherwise than before, and texts about that."""

    events: list[Event]
    corrections: list[Correction]
    restated: list[str]


def events_of(rows: Sequence[Row], walked: Walked, account: Account, address: str, late: datetime) -> Heard:
    """One event per transaction, its net effect on the address.

    A transaction of which any row was known has been told already: what it is now takes the place of what it was.
    Rows and walk are in the same order. What occurred before `late` is marked so.
    """
    fresh, changed = set(walked.fresh), set(walked.changed)
    heard = Heard([], [], [])
    for transaction, indexes in _by_transaction(rows, walked).items():
        event = _net([rows[i] for i in indexes], account, address, late)
        event = event and replace(event, key=walked.keys[max(indexes, key=lambda i: rows[i].place)])
        if fresh.issuperset(indexes):
            heard.events.extend([event] if event else [])
        elif not fresh.isdisjoint(indexes) or not changed.isdisjoint(indexes):
            was, at = _id(account, address, transaction), moment(min(rows[i].at for i in indexes))
            heard.corrections.append(Correction("replaced" if event else "reverted", was, at, _another(event)))
            heard.restated.append(f"{cut(transaction)} on {address} was restated")
    for index in walked.returned:
        heard.corrections.append(Correction("restored", walked.keys[index], moment(rows[index].at)))
    if walked.returned:
        heard.restated.append(f"{len(walked.returned)} rows of {address} are there again")
    for key in walked.gone:
        heard.corrections.append(Correction("reverted", key, moment(walked.times[key])))
    if walked.gone:
        heard.restated.append(f"{len(walked.gone)} rows of {address} were taken back")
    return heard


def imported_of(rows: Sequence[Row], walked: Walked, account: Account, address: str) -> tuple[Event, ...]:
    """The transactions of a baseline that were read whole, as history."""
    groups = _by_transaction(rows, walked).values()
    nets = (_net([rows[i] for i in indexes], account, address, EPOCH) for indexes in groups)
    return tuple(event for event in nets if event)


def _by_transaction(rows: Sequence[Row], walked: Walked) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        if walked.keys[index]:
            groups.setdefault(row.transaction_hash, []).append(index)
    return groups


def _id(account: Account, address: str, transaction: str) -> str:
    return digest(account.provider, account.name, transaction, address)


def _another(event: Event | None) -> Event | None:
    """An event that takes another's place, under an id of its own."""
    if event is None:
        return None
    return replace(event, id=digest(event.id, event.direction or "", str(EXACT.normalize(event.amount))))


def _net(rows: Sequence[Row], account: Account, address: str, late: datetime) -> Event | None:
    """What one transaction did to the address, change to itself and the fee included; None for nothing."""
    net = subtract(
        total(row.amount for row in rows if row.direction == "in"),
        total(row.amount for row in rows if row.direction == "out"),
    )
    if not net:
        return None
    last = max(rows, key=lambda row: row.place)
    mined = any(row.transaction_type == "minerReward" for row in rows)
    return Event(
        id=_id(account, address, last.transaction_hash),
        asset=ASSET,
        kind="mining_reward" if mined else "transfer",
        direction="in" if net > 0 else "out",
        amount=net.copy_abs(),
        occurred_at=moment(last.at),
        balance_after=last.balance_after,
        reference=last.transaction_hash,
        late=moment(last.at) < late,
    )
