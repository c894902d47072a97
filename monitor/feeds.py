"""Where prices come from: the configured sources, in order."""

from collections.abc import Iterable

from monitor.engine.pricing import Reported, Source, Static
from monitor.settings import Price, ProviderPrices


def sources(prices: Iterable[Price]) -> tuple[Source, ...]:
    """The sources as configured, in the order in which they are tried."""
    return tuple(
        Reported(price.max_age) if isinstance(price, ProviderPrices) else Static(price.prices) for price in prices
    )
