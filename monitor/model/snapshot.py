"""What a provider said at one instant, and what differs between two instants."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, NamedTuple

from monitor.model.money import ZERO, exact, subtract
from monitor.model.quick import quick

#: Amounts of one asset: measure → value, for example {"available": 400, "pending": 100, "total": 500}.
Measures = Mapping[str, Decimal]

#: Every measure a provider may offer.
MEASURES = (
    "available", "pending", "held", "locked", "total", "equity", "margin_used", "withdrawable", "referral",
)  # fmt: skip

OutageKind = Literal["unreachable", "refused", "throttled", "garbled"]


@quick
class Snapshot:
    """One reading of one account.

    `amounts` is asset → measure → value and never holds a guess. `missing` names what this reading should
    have contained and did not (an asset, or an address of a sum): it is unknown, not zero. After `carry`,
    `seen` tells when all of a carried asset was last really read. `usd` is asset → USD value of its
    `total` as the provider reports it. `absent_is_zero` is set only by adapters whose provider drops
    zero rows from a complete answer.
    """

    observed_at: datetime
    amounts: Mapping[str, Measures]
    started_at: datetime | None = None
    as_of: datetime | None = None
    usd: Mapping[str, Decimal] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    why: str = ""
    absent_is_zero: bool = False
    seen: Mapping[str, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for measures in self.amounts.values():
            for value in measures.values():
                exact(value)

    def of(self, asset: str, measure: str) -> Decimal | None:
        """One amount, or None when it is not known."""
        measures = self.amounts.get(asset)
        return None if measures is None else measures.get(measure)


@dataclass(frozen=True, slots=True)
class Outage:
    """A poll that failed: a fact, never a zero. `scope` is set for refusals.

    `asked_at` is set where nobody was asked for this one: it repeats what the provider said then. `answered`: one that
    is unreachable did answer, only not with what was asked for.
    """

    at: datetime
    kind: OutageKind
    why: str
    scope: Literal["credentials", "account"] | None = None
    wait: timedelta | None = None
    asked_at: datetime | None = None
    answered: bool = False


class Change(NamedTuple):
    """The same measure of the same asset, different in two successive snapshots."""

    asset: str
    measure: str
    before: Decimal
    after: Decimal

    @property
    def delta(self) -> Decimal:
        """How much it grew; negative when it fell. Exact."""
        return subtract(self.after, self.before)


def diff(before: Snapshot | None, after: Snapshot) -> tuple[Change, ...]:
    """What changed, by value: `0.10` and `0.1` are the same.

    A first observation is not a change, and an asset that one side does not know is not compared, except
    that an asset new to a provider that drops zero rows grew from zero.
    """
    if before is None or before.amounts == after.amounts:
        return ()
    changes = []
    for asset, measures in after.amounts.items():
        known = before.amounts.get(asset)
        if known is None:
            if not before.absent_is_zero or asset in before.missing:
                continue
            known = dict.fromkeys(measures, ZERO)
        for measure, value in measures.items():
            was = known.get(measure)
            if was is not None and was != value:
                changes.append(Change(asset, measure, was, value))
    return tuple(changes)


def carry(before: Snapshot | None, after: Snapshot) -> Snapshot:
    """The newest knowledge: `after`, plus the last good value of every asset and measure it does not tell.

    What left an answer without a word is unknown: should it come back as another amount, that is a
    change. Only at a provider that drops zero rows a complete answer is all there is.
    """
    if before is None or (after.absent_is_zero and not after.missing):
        return after
    old = {
        asset: measures
        for asset, measures in before.amounts.items()
        if (now := after.amounts.get(asset)) is None or not measures.keys() <= now.keys()
    }
    if not old:
        return after
    seen = {asset: before.seen.get(asset, before.observed_at) for asset in old}
    usd = {asset: before.usd[asset] for asset in old if asset in before.usd}
    kept = {asset: {**measures, **after.amounts.get(asset, {})} for asset, measures in old.items()}
    return replace(after, amounts={**after.amounts, **kept}, seen=seen, usd={**usd, **after.usd})
