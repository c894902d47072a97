"""What Kaiko's rows mean: an address's balance, its events, and the account that sums them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from monitor.model.event import Event, Ledger, LedgerRow, Walked, digest
from monitor.model.money import EXACT, subtract, total
from monitor.model.record import Account, Answer
from monitor.model.snapshot import Snapshot
from monitor.providers.answers import cut
from monitor.providers.kaiko_rows import ASSET, Row, usd_of
from monitor.providers.times import moment

#: The vendor prices a balance at its last transaction; older than this it is no price any more.
USD_MAX_AGE = timedelta(hours=2)


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
    notes: tuple[str, ...] = ()


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
    missing += [a for a in account.assets if a.partition("@")[0].upper() != ASSET and a not in missing]
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
        explained={ASSET: total(event.signed for event in events)},
        ledgers={address: ledger for address, ledger in ledgers.items() if ledger is not None},
        gap="; ".join(f"{reading.address}: {reading.gap}" for reading in readings if reading.gap),
        restated=tuple(text for reading in readings for text in reading.restated),
        notes=tuple(text for reading in readings for text in reading.notes),
    )


def ledger_row(row: Row, address: str) -> LedgerRow:
    """Its key is where the row stands; the amount is what a correction may change."""
    name = "|".join((row.transaction_hash, address, str(row.internal_transaction_index), row.direction))
    return LedgerRow(tuple_key=f"{name}|{EXACT.normalize(row.amount)}", at=row.at, name=name)


def events_of(
    rows: Sequence[Row], walked: Walked, account: Account, address: str, late: datetime
) -> tuple[list[Event], list[str]]:
    """(new events, texts about restated ones): one event per transaction, its net effect on the address.

    A transaction of which any row was known has been told already: its correction is no second event.
    Rows and walk are in the same order. What occurred before `late` is marked so.
    """
    fresh, changed = set(walked.fresh), set(walked.changed)
    groups: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        if walked.keys[index]:
            groups.setdefault(row.transaction_hash, []).append(index)
    events, restated = [], []
    for transaction, indexes in groups.items():
        if fresh.issuperset(indexes):
            event = _net([rows[i] for i in indexes], account, address, late)
            events += [event] if event else []
        elif not fresh.isdisjoint(indexes) or not changed.isdisjoint(indexes):
            restated.append(f"{cut(transaction)} on {address} was restated")
    if walked.vanished and not restated:
        restated.append(f"{len(walked.vanished)} rows of {address} were taken back")
    return events, restated


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
        id=digest(account.provider, account.name, last.transaction_hash, address),
        asset=ASSET,
        kind="mining_reward" if mined else "transfer",
        direction="in" if net > 0 else "out",
        amount=net.copy_abs(),
        occurred_at=moment(last.at),
        balance_after=last.balance_after,
        reference=last.transaction_hash,
        late=moment(last.at) < late,
    )
