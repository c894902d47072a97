"""`PriceMissing`: an asset cannot be priced, and rules in USD need it."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

from monitor.fields import Duration
from monitor.model.alert import Verdict
from monitor.model.record import Entry
from monitor.rules.base import RuleBase
from monitor.rules.facts import Facts, Sighting
from monitor.rules.self_alert import SelfRule
from monitor.rules.templates import subject

#: Rules named in one sentence.
_NAMED_MAX = 3


class PriceMissing(SelfRule):
    """Breached per asset while there is some of it, one of `rules` watches it, and its price is not known.

    A source that misses a single beat is no news, so it takes a while to fire.
    """

    alert: str = "PriceMissing"
    wait: Duration = timedelta(minutes=5)
    #: The rules of this account that judge in USD.
    rules: tuple[RuleBase, ...]

    def watches(self, asset: str) -> bool:
        return any(rule.watches(asset) for rule in self.rules)

    def judge(self, facts: Facts) -> Iterator[Verdict]:
        if not isinstance(facts, Sighting):
            return
        for asset, measures in facts.snapshot.amounts.items():
            # Nothing is worth nothing at any price.
            priced = asset in facts.prices or not any(measures.values())
            if priced and asset not in facts.alerting:
                continue
            needing = [rule.alert for rule in self.rules if rule.watches(asset)]
            if needing:
                level = None if priced else self.severity
                yield Verdict(asset, level, level, details={"rules": _listed(needing)})

    def breached(self, entry: Entry, details: Mapping[str, str]) -> str:
        return f"{subject(entry)} has no price: judged without it, or not at all: {details.get('rules', '')}"

    def recovered(self, entry: Entry) -> str:
        return f"{subject(entry)} has a price again, or there is none of it left"


def in_usd(rules: Iterable[RuleBase]) -> tuple[RuleBase, ...]:
    """Those of the rules that cannot judge without prices."""
    return tuple(rule for rule in rules if _in_usd(rule))


def _in_usd(rule: RuleBase) -> bool:
    summed = getattr(rule, "aggregate", None)
    return "usd" in (getattr(rule, "unit", None), getattr(summed, "unit", None))


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED_MAX} more" if len(names) > _NAMED_MAX else ""
    return ", ".join(names[:_NAMED_MAX]) + more
