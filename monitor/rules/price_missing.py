"""`PriceMissing`: an asset cannot be priced, and rules in USD need it."""

from collections.abc import Iterator, Mapping
from datetime import timedelta

from monitor.fields import Duration
from monitor.model.alert import Verdict
from monitor.model.record import Entry
from monitor.rules.base import RuleBase
from monitor.rules.facts import Facts, Prices, Sighting
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
            if not self.watches(asset):
                continue
            # Nothing is worth nothing at any price.
            priced = not any(measures.values()) or asset in facts.prices
            if priced and asset not in facts.alerting:
                continue
            level = None if priced else self.severity
            yield Verdict(asset, level, level, details={} if priced else self._details(asset, facts.prices))

    def _details(self, asset: str, prices: Prices) -> Mapping[str, str]:
        why_not = getattr(prices, "why_not", None)
        needing = [rule.alert for rule in self.rules if rule.watches(asset)]
        return {"rules": _listed(needing), **({"why": why_not(asset)} if why_not else {})}

    def breached(self, entry: Entry, details: Mapping[str, str]) -> str:
        why = f" ({details['why']})" if "why" in details else ""
        return f"{subject(entry)} has no price{why}; judged without it, or not at all: {details.get('rules', '')}"

    def recovered(self, entry: Entry) -> str:
        return f"{subject(entry)} has a price again, or there is none of it left"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED_MAX} more" if len(names) > _NAMED_MAX else ""
    return ", ".join(names[:_NAMED_MAX]) + more
