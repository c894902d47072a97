"""What a movement is held against: thresholds in the asset, in USD, or as a share of a total."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from monitor.fields import Threshold
from monitor.model.alert import Severity, Verdict
from monitor.model.asset import bare
from monitor.model.event import Event
from monitor.model.money import ZERO, add, divide, multiply, subtract, total, worth
from monitor.model.window import Bounds
from monitor.rules.facts import Sighting
from monitor.rules.levels import amounts_of
from monitor.rules.templates import USD

#: Thresholds by severity, worst first.
Levels = tuple[tuple[Severity, Decimal], ...]

_HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class Yardstick:
    """`price` turns amounts into the unit of the levels; `base` is what a percentage was taken of."""

    levels: Levels
    price: Decimal | None = None
    base: Decimal | None = None

    def worth(self, amount: Decimal) -> Decimal:
        """The amount in the unit of the levels."""
        return amount if self.price is None else worth(amount, self.price)

    def exceeded(self, amount: Decimal) -> tuple[Severity, Decimal] | None:
        """The worst level an amount is above, and its threshold."""
        worth = self.worth(amount)
        for level in self.levels:
            if worth > level[1]:
                return level
        return None

    def undecided(self, bounds: Bounds) -> bool:
        """Whether the true sum could be on either side of a threshold that matters."""
        low, high = bounds
        return low != high and self.exceeded(low) != self.exceeded(high)


def shares(percentages: Levels, base: Decimal) -> Levels:
    """Percentages of a total as amounts. Of a debt or of nothing, anything is too much."""
    whole = max(base, ZERO)
    return tuple((severity, divide(multiply(whole, share), _HUNDRED)) for severity, share in percentages)


def levels_of(rungs: Sequence[tuple[Severity, Threshold]], base: Decimal) -> Levels:
    """Thresholds as amounts, where percentages are taken of what was there, or was owed."""
    amounts = amounts_of(rungs)
    return shares(amounts, base.copy_abs()) if rungs[0][1].percent else amounts


def judge_move(
    facts: Sighting,
    asset: str,
    change: Decimal,
    levels: Levels,
    measure: str,
    details: Mapping[str, str],
    *,
    in_usd: bool,
) -> Iterator[Verdict]:
    """The verdict on how far a measure is from where it was, whichever way; none where a price is missing."""
    price = facts.prices.get(asset, None if change else ZERO) if in_usd else None
    if in_usd and price is None:
        return
    yardstick, amount = Yardstick(levels, price=price), change.copy_abs()
    exceeded = yardstick.exceeded(amount)
    level = None if exceeded is None else exceeded[0]
    unit = USD if in_usd else bare(asset)
    yield Verdict(asset, level, level, yardstick.worth(amount), None, dict(levels), measure, unit, details)


def totals_before(seen: Sighting) -> Mapping[str, Decimal]:
    """Event id → the account's `total` of that asset just before this movement, where it can be known.

    Walked forward from the last reading, else back from this one. A ledger's own `balance_after` comes last:
    at some providers it is the balance of one address out of several.
    """
    befores: dict[str, Decimal] = {}
    by_asset: dict[str, list[Event]] = {}
    for event in sorted(seen.events, key=lambda each: each.occurred_at):
        by_asset.setdefault(event.asset, []).append(event)
    for asset, events in by_asset.items():
        running = seen.previous.of(asset, "total") if seen.previous else None
        if running is None and (now := seen.snapshot.of(asset, "total")) is not None:
            running = subtract(now, total(event.signed for event in events))
        for event in events:
            if running is not None:
                befores[event.id] = running
                running = add(running, event.signed)
            elif event.balance_after is not None and event.direction is not None:
                befores[event.id] = subtract(event.balance_after, event.signed)
    return befores
