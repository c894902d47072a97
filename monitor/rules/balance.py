"""What `low_balance`, `high_balance` and `locked_funds` share: a measure of each asset, rated against levels."""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import cached_property
from typing import Literal, Self, get_args

from pydantic import Field, model_validator

from monitor.model.alert import Severity, Verdict
from monitor.model.asset import bare
from monitor.model.money import RATIO, readable, text, worth
from monitor.model.price import Valued
from monitor.model.record import Entry
from monitor.model.snapshot import MEASURES, Measures
from monitor.model.sums import ANYTHING, NOT_BELOW_ZERO, SIGNED, Sums, plus
from monitor.rules.aggregate import (
    Aggregate,
    add_up,
    check_aggregate,
    describe,
    known_end,
    labels_of_subject,
    rate_interval,
    sums_of_account,
    title,
    unit_of,
)
from monitor.rules.base import RuleBase
from monitor.rules.contributors import breakdown
from monitor.rules.facts import Facts, Overview, Sighting
from monitor.rules.levels import Ladder
from monitor.rules.templates import USD, amount_of, subject
from monitor.rules.unseen import unseen_of

Measure = Literal[
    "available", "pending", "held", "locked", "total", "equity", "margin_used", "withdrawable", "referral"
]
assert get_args(Measure) == MEASURES

_NOTHING: Measures = {}
_NO_DETAILS: Mapping[str, str] = {}


class BalanceRule(RuleBase):
    """Breached per asset while a measure is on the wrong side of a threshold.

    The first observation is judged like any other. An asset, a measure or a price that is not known gives
    no verdict.
    """

    measure: Measure = "available"
    unit: Literal["asset", "usd"] = Field(default="asset", description="usd: the worth at current prices")
    aggregate: Aggregate | None = Field(default=None, description="compare sums: {by: [labels], unit}")

    @model_validator(mode="after")
    def _sums_mean_something(self) -> Self:
        check_aggregate(self)
        return self

    @property
    def ladder(self) -> Ladder:
        """The thresholds, worst first."""
        raise NotImplementedError

    @property
    def spans(self) -> bool:
        return self.aggregate is not None and self.aggregate.crosses

    @property
    def summed_by(self) -> tuple[str, ...]:
        return () if self.aggregate is None else self.aggregate.by

    @property
    def steady(self) -> bool:
        return not self.in_usd

    def about(self) -> Literal["asset", "account", "event"]:
        return "asset" if self.aggregate is None or "asset" in self.aggregate.by else "account"

    def measures(self) -> tuple[str, ...]:
        return (self.measure,)

    def recoveries(self) -> Mapping[Severity, Decimal]:
        return self.ladder.recoveries()

    def judge(self, facts: Facts) -> Iterator[Verdict]:
        if isinstance(facts, Overview):
            yield from self._summed(facts, facts.reading.sums)
        if not isinstance(facts, Sighting):
            return
        if self.aggregate is not None:
            yield from self._summed(facts, sums_of_account(facts, self.aggregate.by, self.measure, self.watches))
            return
        # Looked up once, not per asset: this runs for every rule at every poll.
        rate, thresholds, wanted = self._rate, self._thresholds, self._wanted
        measure, in_usd = self.measure, self.in_usd
        before = facts.previous.amounts if facts.previous else {}
        for asset, measures in facts.snapshot.amounts.items():
            if wanted and asset not in wanted and bare(asset) not in wanted:
                continue
            value = measures.get(measure)
            if value is None:
                continue
            if in_usd:
                yield from self._worth(facts, asset, value)
                continue
            bad, held = rate(value)
            if bad or asset in facts.alerting:
                previous = before.get(asset, _NOTHING).get(measure)
                yield Verdict(asset, bad, held, value, previous, thresholds, measure, bare(asset))

    def _worth(self, facts: Sighting, asset: str, value: Decimal) -> Iterator[Verdict]:
        """The verdict in USD; none when the price is not known, unless there is nothing to price."""
        price = facts.prices.get(asset)
        if price is None and value:
            return
        amount = worth(value, price) if price is not None else value
        bad, held = self._rate(amount)
        if not bad and asset not in facts.alerting:
            return
        details = {"amount": text(value), "price": "unknown" if price is None else readable(price)}
        then, was = facts.valued.get(asset), None
        before = then.amounts.get(self.measure) if then else None
        if price is not None and then and before is not None:
            was = worth(before, then.price)
            details |= _split(before, value, then, price)
        elif price is not None and facts.previous and (previous := facts.previous.of(asset, self.measure)) is not None:
            was = worth(previous, price)
        yield Verdict(asset, bad, held, amount, was, self._thresholds, self.measure, USD, details)

    def _summed(self, facts: Sighting | Overview, sums: Mapping[str, Sums]) -> Iterator[Verdict]:
        """Sums of amounts, or of worths; one that is bad for certain, or has an alert."""
        in_usd, ladder = unit_of(self) == "usd", self.ladder
        prices, worst = facts.prices if in_usd else None, ladder.rungs[0].severity
        for name, parts in sorted(sums.items()):
            interval, unpriced = add_up(parts, prices)
            labels = labels_of_subject(self.summed_by, name) if self.spans else {}
            unseen = unseen_of(facts.reading.unknown, labels, parts) if isinstance(facts, Overview) else ()
            if unseen:
                interval = plus(interval, ANYTHING if self.measure in SIGNED else NOT_BELOW_ZERO)
            bad, held, decided = rate_interval(interval, self._rate, worst, low=ladder.low)
            if not bad and name not in facts.alerting:
                continue
            accounts = facts.reading.accounts.get(name, 0) if isinstance(facts, Overview) else 1
            details = describe(parts, prices, interval, unpriced, unseen, accounts) | (
                {"sum": title(labels)} if self.spans else {}
            )
            unit = USD if in_usd else bare(next(iter(parts), ""))
            yield Verdict(
                name, bad, held, known_end(interval), None, self._thresholds, self.measure, unit, details,
                "ok" if decided else "unknown", labels,
            )  # fmt: skip

    @cached_property
    def _rate(self) -> Callable[[Decimal], tuple[Severity | None, Severity | None]]:
        return self.ladder.rater()

    @cached_property
    def _thresholds(self) -> Mapping[Severity, Decimal]:
        return self.ladder.thresholds()

    @cached_property
    def _wanted(self) -> frozenset[str]:
        return frozenset(self.assets)

    def breached(self, entry: Entry, details: Mapping[str, str]) -> str:
        """`hot-usdt USDT available 412.50 is below 80000`; of one that is held, what it has to reach"""
        low, value, at = self.ladder.low, entry.value, entry.threshold
        bad, good = ("below", "above") if low else ("above", "below")
        if value is None or at is None or (value < at if low else value > at):
            return self._sentence(entry, f"is {bad} {self._amount(entry, at)}", details)
        back = self.recoveries().get(entry.severity)
        if back is not None and (value <= back if low else value >= back):
            return self._sentence(entry, f"is not yet {good} {self._amount(entry, back)} again", details)
        return self._sentence(entry, f"is no longer {bad} {self._amount(entry, at)}, but only lately", details)

    def recovered(self, entry: Entry) -> str:
        was = "below" if self.ladder.low else "above"
        return self._sentence(entry, f"has recovered, it was {was} {self._amount(entry, entry.threshold)}", _NO_DETAILS)

    def _sentence(self, entry: Entry, said: str, details: Mapping[str, str]) -> str:
        stands = f"{self._who(entry, details)} {self._amount(entry, entry.value)}"
        return f"{stands} {said}{breakdown(details)}{priced(details)}"

    def _who(self, entry: Entry, details: Mapping[str, str]) -> str:
        """Whom a sentence is about; of a sum the labels that tell it apart."""
        if not self.spans:
            return subject(entry)
        own = {**entry.labels, "account": entry.account, "provider": entry.provider, "asset": entry.asset or ""}
        name = details.get("sum") or title({label: own.get(label, "") for label in self.summed_by})
        return " ".join(part for part in (name, entry.measure) if part)

    @staticmethod
    def _amount(entry: Entry, value: Decimal | None) -> str:
        return amount_of(value, entry.unit, entry.asset)


def _split(before: Decimal, value: Decimal, then: Valued, price: Decimal) -> Mapping[str, str]:
    """What of the difference between two worths is price and what is quantity; together they are all of it."""
    by_price = RATIO.subtract(worth(before, price), worth(before, then.price))
    by_quantity = RATIO.subtract(worth(value, price), worth(before, price))
    return {
        "valued_at": f"{then.at:%Y-%m-%dT%H:%M:%SZ}",
        "previous_amount": text(before),
        "previous_price": readable(then.price),
        "by_price": readable(by_price),
        "by_quantity": readable(by_quantity),
    }


def priced(details: Mapping[str, str]) -> str:
    """` (0.5 at 60000)` behind a worth: how much there is, what one costs; and whether price or quantity moved it."""
    if "price" not in details:
        return ""
    now = f"{details['amount']} at {details['price']}"
    if "by_price" not in details:
        return f" ({now})"
    then = f"at {details['valued_at']} {details['previous_amount']} at {details['previous_price']}"
    moved = f"by price {details['by_price']} USD, by quantity {details['by_quantity']} USD"
    return f" ({now}; {then}, so {moved})"
