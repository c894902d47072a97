"""What `low_balance`, `high_balance` and `locked_funds` share: a measure of each asset, rated against levels."""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import cached_property
from typing import Literal, get_args

from pydantic import Field

from monitor.model.alert import Severity, Verdict
from monitor.model.money import multiply, text
from monitor.model.record import Entry
from monitor.model.snapshot import MEASURES, Measures
from monitor.rules.base import Facts, Prices, RuleBase, Sighting
from monitor.rules.levels import Ladder
from monitor.rules.templates import amount_of, subject

Measure = Literal[
    "available", "pending", "held", "locked", "total", "equity", "margin_used", "withdrawable", "referral"
]
assert get_args(Measure) == MEASURES

#: The currency of prices; `unit: usd` compares with it.
USD = "USD"
_NOTHING: Measures = {}


class BalanceRule(RuleBase):
    """Breached per asset while a measure is on the wrong side of a threshold.

    The first observation is judged like any other. An asset, a measure or a price that is not known gives
    no verdict.
    """

    measure: Measure = "available"
    unit: Literal["asset", "usd"] = Field(default="asset", description="usd: the worth at current prices")

    @property
    def ladder(self) -> Ladder:
        """The thresholds, worst first."""
        raise NotImplementedError

    def measures(self) -> tuple[str, ...]:
        return (self.measure,)

    def judge(self, facts: Facts) -> Iterator[Verdict]:
        if not isinstance(facts, Sighting):
            return
        # Looked up once, not per asset: this runs for every rule at every poll.
        rate, thresholds, wanted = self._rate, self._thresholds, self._wanted
        measure, in_usd = self.measure, self.unit == "usd"
        before = facts.previous.amounts if facts.previous else {}
        for asset, measures in facts.snapshot.amounts.items():
            if wanted and asset not in wanted and asset.partition("@")[0] not in wanted:
                continue
            value = measures.get(measure)
            if value is None:
                continue
            if in_usd:
                yield from self._worth(asset, value, before.get(asset, _NOTHING).get(measure), facts.prices)
                continue
            bad, held = rate(value)
            if bad or asset in facts.alerting:
                previous = before.get(asset, _NOTHING).get(measure)
                yield Verdict(asset, bad, held, value, previous, thresholds, measure, asset.partition("@")[0])

    def _worth(self, asset: str, value: Decimal, previous: Decimal | None, prices: Prices) -> Iterator[Verdict]:
        """The verdict in USD; none when the price is not known, unless there is nothing to price."""
        price = prices.get(asset)
        if price is None and value:
            return
        worth = multiply(value, price) if price is not None else value
        bad, held = self._rate(worth)
        # Both ends at one price: what differs is then quantity, and the price stands beside it.
        was = None if previous is None or price is None else multiply(previous, price)
        details = {"amount": text(value), "price": "unknown" if price is None else text(price)}
        yield Verdict(asset, bad, held, worth, was, self._thresholds, self.measure, USD, details)

    @cached_property
    def _rate(self) -> Callable[[Decimal], tuple[Severity | None, Severity | None]]:
        return self.ladder.rater()

    @cached_property
    def _thresholds(self) -> Mapping[Severity, Decimal]:
        return self.ladder.thresholds()

    @cached_property
    def _wanted(self) -> frozenset[str]:
        return frozenset(self.assets)

    def sentence(self, entry: Entry, relation: str) -> str:
        """`hot-usdt USDT available 412.50 is below 80000`"""
        value, threshold = (amount_of(x, entry.unit, entry.asset) for x in (entry.value, entry.threshold))
        return f"{subject(entry)} {value} {relation} {threshold}"


def priced(details: Mapping[str, str]) -> str:
    """` (0.5 at 60000)` behind a worth: how much there is, and what one of it costs."""
    return f" ({details['amount']} at {details['price']})" if "price" in details else ""
