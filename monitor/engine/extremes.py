"""Which values an account has left within the windows that its rules look back on. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from monitor.model.extremes import Steps, alive, leave
from monitor.model.snapshot import Change
from monitor.rules.base import RuleBase


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
