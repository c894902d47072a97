"""What the totals of an account moved by and its ledger does not explain, as far as rules ask. Pure."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from monitor.engine.movements import Moved
from monitor.model.money import ZERO, add, subtract
from monitor.model.record import Answer, Record
from monitor.model.residual import Opens, alive, settle
from monitor.model.snapshot import Change
from monitor.rules.base import RuleBase


def account_for(
    record: Record,
    answer: Answer,
    changes: tuple[Change, ...],
    movements: Moved,
    rules: tuple[RuleBase, ...],
    now: datetime,
) -> Mapping[str, Opens]:
    """The open amounts by `ResidualSpec.key`, after this poll; the record's own if nothing has changed."""
    read = [(rule, spec) for rule in rules if (spec := rule.residual())]
    known = record.residuals
    if not read and not known:
        return known
    explained = _explained(answer, movements)
    moved = {change.asset: change.delta for change in changes if change.measure == "total"}
    counts = _counts(record, answer, movements)
    found: dict[str, Opens] = {}
    for rule, spec in read:
        for asset in {*explained, *moved, *(key.partition("|")[0] for key in known)}:
            key = spec.key(asset)
            if not rule.watches(asset) or key in found:
                continue
            opens = known.get(key, ())
            if counts and asset in explained and _compared(record, asset):
                opens = settle(opens, moved.get(asset, ZERO), explained[asset], now)
            elif not counts and (answer.lost or _unsure(record, asset)):
                opens = ()
            if not answer.gap and answer.snapshot.of(asset, "total") is not None:
                # Else what is missing may still come and settle it.
                opens = alive(opens, spec.within, now)
            if opens:
                found[key] = opens
    return known if found == known else found


def _explained(answer: Answer, movements: Moved) -> Mapping[str, Decimal]:
    """Asset → what the ledger says its total moved by; assets that the ledger does not cover are not in it.

    A row that is taken back explains the way back.
    """
    if answer.events is None:
        return {}
    if answer.explained is not None:
        return answer.explained
    sums: dict[str, Decimal] = dict.fromkeys(answer.snapshot.amounts, ZERO)
    for event in (*movements.events, *movements.regained):
        sums[event.asset] = add(sums.get(event.asset, ZERO), event.signed)
    for event in movements.undone:
        sums[event.asset] = subtract(sums.get(event.asset, ZERO), event.signed)
    return sums


def _counts(record: Record, answer: Answer, movements: Moved) -> bool:
    """Whether what moved in this poll can be held against the ledger.

    Not when a stream of events begins: what its rows did to the total is history, which nobody tells. Nor when some
    are lost, or the provider has corrected its rows and it is not known what these had moved.
    """
    if record.ledgers.keys() != answer.ledgers.keys() or answer.lost:
        return False
    if (answer.restated or answer.corrections) and not _follows(answer, movements):
        return False
    return bool(answer.ledgers) or not answer.gap


def _follows(answer: Answer, movements: Moved) -> bool:
    """Whether every corrected row is one that was told, and moved the total by just its amount."""
    return 0 < len(answer.corrections) == len(movements.corrected) and answer.explained is None


def _compared(record: Record, asset: str) -> bool:
    """Whether there is a total to compare with: the first one is no movement."""
    return record.snapshot is not None and record.snapshot.of(asset, "total") is not None


def _unsure(record: Record, asset: str) -> bool:
    """Whether rows were told while the total was not known: then they belong to what is not counted now."""
    return record.snapshot is not None and asset in record.snapshot.seen
