"""What an account's record remembers of the windows that its rules look back on. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from monitor.engine.movements import Moved
from monitor.engine.residuals import account_for
from monitor.engine.rings import count
from monitor.model.extremes import Steps, alive, leave
from monitor.model.record import Answer, Need, Record
from monitor.model.residual import Opens
from monitor.model.snapshot import Change
from monitor.model.window import Coverage, Flow
from monitor.rules.base import RuleBase


class Windows(NamedTuple):
    """By name: sums of what moved, what is known of assets without one, values that were left, and what the ledger
    has not explained."""

    flows: Mapping[str, Flow]
    coverage: Mapping[str, Coverage]
    extremes: Mapping[str, Steps]
    residuals: Mapping[str, Opens]


def unmoved(record: Record) -> Windows:
    """The windows as they are."""
    return Windows(record.flows, record.coverage, record.extremes, record.residuals)


def look_back(
    record: Record,
    answer: Answer,
    changes: tuple[Change, ...],
    moved: Moved,
    rules: tuple[RuleBase, ...],
    now: datetime,
) -> Windows | Need:
    """The windows knowing this poll; Need when some must be rebuilt from the stored events."""
    counted = count(record, answer.snapshot, moved, changes, rules, now)
    if isinstance(counted, Need):
        return counted
    extremes = remember(record.extremes, changes, rules, now)
    return Windows(*counted, extremes, account_for(record, answer, changes, moved, rules, now))


def remember(
    known: Mapping[str, Steps], changes: Iterable[Change], rules: tuple[RuleBase, ...], now: datetime
) -> Mapping[str, Steps]:
    """The rings that the rules read, knowing what changed just now; `known` itself when that changes nothing.

    A ring that no rule had before starts now. One whose rule was given another window goes on from what the old
    one knew, so that editing `within` ends no alert.
    """
    read = [(rule, spec) for rule in rules if (spec := rule.extreme())]
    if not known and not read:
        return known
    left = {(change.asset, change.measure): change.before for change in changes}
    assets = {*(asset for asset, _ in left), *(key.rsplit("|", 3)[0] for key in known)}
    rings: dict[str, Steps] = {}
    for rule, spec in read:
        for asset in assets:
            if not rule.watches(asset) or (key := spec.key(asset)) in rings:
                continue
            steps = alive(known.get(key) or _inherited(known, key), spec.within, now)
            before = left.get((asset, spec.measure))
            if before is not None:
                steps = leave(steps, before, spec.side, spec.within, now)
            if steps:
                rings[key] = steps
    return known if rings == known else rings


def _inherited(known: Mapping[str, Steps], key: str) -> Steps:
    """What the ring with the longest other window knows of the same asset and measure."""
    same = key.rpartition("|")[0] + "|"
    siblings = [other for other in known if other.startswith(same)]
    return known[max(siblings, key=lambda other: int(other.removeprefix(same)))] if siblings else ()
