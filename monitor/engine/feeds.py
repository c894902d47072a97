"""Prices fetched from elsewhere: one process fetches them for all, every process reads them from the store."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from monitor.engine.ports import Budget
from monitor.engine.pricing import Feed
from monitor.model.price import Fetched, Posted, Quote
from monitor.model.record import Account, Answer, PriceWatch, Record
from monitor.model.snapshot import Snapshot

#: How their pseudo accounts and providers begin: each is claimed, throttled and refused by itself.
FEED, FEED_PROVIDER = "prices:", "@prices:"


class PriceStore(Protocol):
    """What prices need of the store. Every method raises StoreUnavailable when it does not answer."""

    async def post_prices(self, source: str, posted: Posted, keep: timedelta) -> None:
        """Share these with all processes; they are forgotten after `keep`."""
        ...

    async def posted_prices(self, source: str, known: datetime | None) -> Posted | None:
        """What was shared, None when there is nothing newer than `known`."""
        ...


class Fetching(Protocol):
    """Asks a source. Raises ProviderError."""

    async def fetch(self, budget: Budget, now: datetime) -> Fetched: ...


def account_of_feed(feed: Feed, every: timedelta) -> Account:
    """The pseudo account of a source: whoever claims it fetches, so one process does."""
    return Account(
        name=f"{FEED}{feed.name}",
        provider=f"{FEED_PROVIDER}{feed.name}",
        interval=every,
        stale_after=feed.max_age,
        target=PriceWatch(feed.name),
    )


@dataclass(slots=True)
class FeedReader:
    """Fetches a source as if it were a balance. An answer that lacks a price leaves the last one as it is."""

    store: PriceStore
    feed: Feed
    source: Fetching
    _noted: str = ""

    async def poll(self, account: Account, record: Record, budget: Budget, now: datetime) -> Answer:  # noqa: ARG002 - the port's signature
        fetched = await self.source.fetch(budget, now)
        kept = {asset: quote for asset, quote in self.feed.quotes.items() if now - quote.at <= self.feed.max_age}
        quotes = {**kept, **{asset: Quote(price, now) for asset, price in fetched.prices.items()}}
        await self.store.post_prices(self.feed.name, Posted(self.feed.of, now, quotes), self.feed.max_age)
        self.feed.take(quotes, now)
        notes = (fetched.note,) if fetched.note and fetched.note != self._noted else ()
        self._noted = fetched.note
        return Answer(Snapshot(observed_at=now, amounts={}), events=(), notes=notes)


async def refresh(feed: Feed, store: PriceStore) -> None:
    """Take over what another process has fetched since; what was fetched by other settings is none of ours."""
    posted = await store.posted_prices(feed.name, feed.at)
    if posted is not None and posted.of == feed.of:
        feed.take(posted.quotes, posted.at)
