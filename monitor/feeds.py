"""Where prices come from: the configured sources in order, and those of them that are fetched."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta

import aiohttp

from monitor.config.settings import Price, ProviderPrices, StaticPrices
from monitor.engine.feeds import FEED_PROVIDER, FeedReader, PriceStore, account_of_feed, refresh
from monitor.engine.pricing import Feed, PriceBook, Reported, Source, Static
from monitor.metrics import Metrics
from monitor.model.record import Account
from monitor.providers.http import Http
from monitor.providers.price_feed import MAX_BODY, HttpJsonPrices, PriceFeed


class Feeds:
    """The prices of one configuration in this process."""

    def __init__(self, prices: Sequence[Price] = ()) -> None:
        self._settings = {price.source: price for price in prices if isinstance(price, HttpJsonPrices)}
        self._feeds = {name: _feed(price) for name, price in self._settings.items()}
        self.book = PriceBook(tuple(self._source(price) for price in prices))

    def _source(self, price: Price) -> Source:
        match price:
            case ProviderPrices():
                return Reported(price.max_age)
            case StaticPrices():
                return Static(price.prices)
            case HttpJsonPrices():
                return self._feeds[price.source]

    def accounts(self) -> dict[str, Account]:
        """The pseudo accounts that are polled for prices."""
        found = (account_of_feed(feed, self._settings[name].every) for name, feed in self._feeds.items())
        return {account.name: account for account in found}

    def reader(
        self, provider: str, session: aiohttp.ClientSession, store: PriceStore
    ) -> tuple[FeedReader, timedelta | None] | None:
        """What polls such a provider, and how long it may take if that is said; None when it is another."""
        name = provider.removeprefix(FEED_PROVIDER)
        settings = None if name == provider else self._settings.get(name)
        if settings is None:
            return None
        source = PriceFeed(settings, Http(session, settings.origin, max_body=MAX_BODY))
        return FeedReader(store, self._feeds[name], source), settings.timeout

    async def refresh(self, store: PriceStore, metrics: Metrics | None = None) -> None:
        """Take over what any process has fetched. StoreUnavailable when the store does not answer."""
        for feed in self._feeds.values():
            await refresh(feed, store)
            if metrics is not None and feed.at is not None:
                metrics.priced(feed.name, feed.at)


def _feed(price: HttpJsonPrices) -> Feed:
    """Prices that were fetched from elsewhere, or found by another path, are others."""
    of = hashlib.sha256(f"{price.url}\n{price.path}".encode()).hexdigest()[:16]
    return Feed(price.source, price.max_age, of)
