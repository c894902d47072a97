"""What is wrong with where prices come from, seen together with who needs them."""

from collections.abc import Iterable, Iterator, Sequence

from monitor.channels.base import insecure
from monitor.config.mistakes import Finding
from monitor.config.settings import Price, StaticPrices
from monitor.model.asset import bare
from monitor.providers.base import ProviderSettings
from monitor.providers.price_feed import HttpJsonPrices
from monitor.rules.base import RuleBase


def namesakes(prices: Sequence[Price]) -> Iterator[Finding]:
    """Fetched prices that could not be told from others, and where they stand."""
    names: set[str] = set()
    for index, price in enumerate(prices):
        if isinstance(price, HttpJsonPrices):
            if price.source in names:
                yield ("prices", index), f"there are already prices called {price.source}: give these a `name`"
            names.add(price.source)


def forgeable(prices: Sequence[Price]) -> Iterator[Finding]:
    """Prices that anybody on the way could write."""
    for index, price in enumerate(prices):
        if isinstance(price, HttpJsonPrices) and insecure(price.origin):
            yield ("prices", index, "url"), "is http: everybody on the way can change the prices, use https"


def types_of(specs: Iterable[ProviderSettings]) -> str:
    """`cryptofuse, kuna`: which types of providers these are, for people."""
    return ", ".join(sorted({str(getattr(spec, "type", "")) for spec in specs}))


def unpriceable(rule: RuleBase, prices: Sequence[Price], watched: Sequence[ProviderSettings]) -> str:
    """Why a rule compares with USD what nothing can ever tell the price of; empty when that is not so."""
    kinds = {price.type for price in prices}
    if "http_json" in kinds or ("provider" in kinds and any(spec.WORTHS for spec in watched)):
        return ""
    known = {asset for price in prices if isinstance(price, StaticPrices) for asset in price.prices}
    lacking = [asset for asset in rule.assets if not {asset, bare(asset)} & known]
    if known and not lacking:
        return ""
    whose = f" for {', '.join(lacking[:5])}" if lacking and known else ""
    return f"{types_of(watched)} reports no USD values and `prices` has none{whose}: nothing can be judged"
