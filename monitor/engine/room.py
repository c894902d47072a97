"""How much an account's record may remember of the windows of its rules. Pure.

A record is written whole whenever something in a window changes, so it must stay small. What the stored events can
tell again gives way: those rings are left out, and summed up from the ledger at each poll.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from monitor.engine.windows import Windows
from monitor.model.extremes import STEPS_MAX, Steps, coarser
from monitor.model.record import Record
from monitor.model.residual import Opens, merged
from monitor.model.window import Flow
from monitor.rules.base import RuleBase

#: Rings of sums in one record.
RINGS_MAX = 16
#: What all rings of a record may take as JSON, near enough.
BYTES_MAX = 32 * 1024
#: What cannot be read again is worth more, at its coarsest: with very many assets it may take this much.
BYTES_AT_WORST = 8 * BYTES_MAX
#: What stands around a name; a bucket, a step or an open amount without its amounts.
_FRAME, _ENTRY = 80, 32
#: How many steps or open amounts of an asset are kept, tried in this order until all of them fit.
_COARSER = (STEPS_MAX, 16, 4, 1)


def fit(record: Record, windows: Windows, rules: tuple[RuleBase, ...]) -> Windows:
    """The windows as far as the record has room; what was left out is said in their coverage.

    Extremes and open amounts cannot be read again: they come first, and get coarser when there are very many. A value
    then counts for longer than it lasted, never for less. Then come the rings that changed last.
    """
    flows, coverage, extremes, residuals = windows
    if flows is record.flows and extremes is record.extremes and residuals is record.residuals:
        return windows
    if len(flows) <= RINGS_MAX and _about(windows) <= BYTES_MAX:
        return windows
    extremes, residuals, left = _thinned(extremes, residuals)
    kept = _newest(flows, left)
    gone = {key[len(key.partition("|")[0]) :] for key in flows.keys() - kept.keys()}
    if gone:
        crowded = {spec.scope(rule.assets) for rule in rules if (spec := rule.flow()) and spec.suffix in gone}
        coverage = {scope: each._replace(whole=scope not in crowded) for scope, each in coverage.items()}
    return Windows(
        record.flows if kept == record.flows else kept,
        record.coverage if coverage == record.coverage else coverage,
        record.extremes if extremes == record.extremes else extremes,
        record.residuals if residuals == record.residuals else residuals,
    )


def _about(windows: Windows) -> int:
    """The bytes, by the newest amounts of each ring: those of one asset are written about equally long."""
    size = 0
    for ring in windows.flows.values():
        each = _ENTRY + (sum(len(str(amount)) for amount in ring.sums[max(ring.sums)]) if ring.sums else 0)
        opening = _ENTRY + (len(str(ring.opening[max(ring.opening)])) if ring.opening else 0)
        size += _FRAME + len(ring.sums) * each + len(ring.opening) * opening
    for steps in windows.extremes.values():
        size += _FRAME + len(steps) * (_ENTRY + len(str(steps[-1].value)))
    for opens in windows.residuals.values():
        size += _FRAME + len(opens) * (_ENTRY + 2 * len(str(opens[-1][1])))
    return size


def _thinned(
    extremes: Mapping[str, Steps], residuals: Mapping[str, Opens]
) -> tuple[Mapping[str, Steps], Mapping[str, Opens], int]:
    """What cannot be read again, as exact as there is room for, and the room that is left."""
    sizes: dict[str, int] = {}
    for most in _COARSER:
        extremes = {key: coarser(steps, most) for key, steps in extremes.items()}
        residuals = {key: merged(opens, most) for key, opens in residuals.items()}
        sizes = {key: len(key) + _size(step.value for step in steps) for key, steps in extremes.items()}
        sizes |= {key: len(key) + _size(x for it in opens for x in it[:2]) for key, opens in residuals.items()}
        if sum(sizes.values()) <= BYTES_MAX:
            break
    ages = {key: steps[-1].until for key, steps in extremes.items()}
    ages |= {key: opens[-1].at for key, opens in residuals.items()}
    size, kept = 0, set()
    for key in sorted(ages, key=lambda key: (-ages[key], key)):
        if size + sizes[key] > BYTES_AT_WORST:
            break
        size += sizes[key]
        kept.add(key)
    return (
        {key: steps for key, steps in extremes.items() if key in kept},
        {key: opens for key, opens in residuals.items() if key in kept},
        BYTES_MAX - size,
    )


def _newest(flows: Mapping[str, Flow], left: int) -> Mapping[str, Flow]:
    """The rings that fit, in their old order: first those of assets that came late, of which no event tells."""

    def rank(key: str) -> tuple[bool, int, str]:
        ring = flows[key]
        return not ring.since, -max((*ring.sums, *ring.opening), default=0) * ring.width, key

    kept = set()
    for key in sorted(flows, key=rank)[:RINGS_MAX]:
        ring = flows[key]
        left -= len(key) + _size((*(x for pair in ring.sums.values() for x in pair), *ring.opening.values()))
        if left < 0:
            break
        kept.add(key)
    return {key: ring for key, ring in flows.items() if key in kept}


def _size(amounts: Iterable[Decimal]) -> int:
    return _FRAME + sum(_ENTRY + len(str(amount)) for amount in amounts)
