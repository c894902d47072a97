"""What an asset costs: the first source that has a price which is not too old; else it is unknown. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple, Protocol

from monitor.fields import duration_text
from monitor.model.asset import bare
from monitor.model.money import ZERO, divide, worth
from monitor.model.price import Quote, Quotes, Valued
from monitor.model.record import Record
from monitor.model.snapshot import Snapshot
from monitor.rules.base import RuleBase
from monitor.rules.facts import Sighting

_NOTHING: Quotes = {}
_FOREVER = timedelta.max
_ONE = Decimal(1)


class Source(Protocol):
    """One configured source of prices."""

    @property
    def max_age(self) -> timedelta: ...

    def quote(self, asset: str, seen: "Seen") -> Quote | None:
        """What it last knew of this asset, however old; never a price that is not above zero."""
        ...


class Seen(NamedTuple):
    """An account at one moment. `reported` is what its provider said of prices before (`Record.reported`)."""

    snapshot: Snapshot
    reported: Quotes
    now: datetime


@dataclass(frozen=True, slots=True)
class Reported:
    """What the balance provider itself says an asset's `total` is worth, observed when the balance was.

    Of an asset that is empty now, what it said before: whoever took all of it took it at about that price.
    """

    max_age: timedelta

    def quote(self, asset: str, seen: Seen) -> Quote | None:
        return reported(asset, seen.snapshot) or seen.reported.get(asset)


def reported(asset: str, snapshot: Snapshot) -> Quote | None:
    """The price within a reading. A worth of zero is one that the provider does not know, or has rounded away."""
    value, total = snapshot.usd.get(asset), snapshot.of(asset, "total")
    if not value or not total or (price := divide(value, total)) <= ZERO:
        return None
    return Quote(price, snapshot.seen.get(asset, snapshot.observed_at))


@dataclass(frozen=True, slots=True)
class Static:
    """Prices written in the configuration. They do not age."""

    prices: Mapping[str, Decimal]
    max_age: timedelta = _FOREVER

    def quote(self, asset: str, seen: Seen) -> Quote | None:
        price = self.prices.get(asset) or self.prices.get(bare(asset))
        return None if price is None else Quote(price, seen.now)


@dataclass(slots=True)
class Feed:
    """Prices fetched from elsewhere, the newest of them `at`; `of` names the settings they are fetched by.

    Their assets are in capitals: sources write them as they like.
    """

    name: str
    max_age: timedelta
    of: str = ""
    at: datetime | None = None
    quotes: Quotes = field(default_factory=dict)

    def quote(self, asset: str, seen: Seen) -> Quote | None:  # noqa: ARG002 - the port's signature
        known = asset.upper()
        return self.quotes.get(known) or self.quotes.get(bare(known))

    def take(self, quotes: Quotes, at: datetime) -> None:
        """From now on these."""
        self.quotes, self.at = quotes, at


@dataclass(frozen=True, slots=True)
class PriceBook:
    """The configured sources, in the order in which they are tried."""

    sources: Sequence[Source] = ()

    def prices(self, snapshot: Snapshot, now: datetime, reported: Quotes = _NOTHING) -> "Prices":
        """Asset → price for an account that was read like this; an asset without a price is not in it.

        Looked up when it is asked for: most rules ask for none.
        """
        return Prices(self.sources, Seen(snapshot, reported, now))


class Prices(Mapping[str, Decimal]):
    """The prices of one account at one moment."""

    __slots__ = ("_found", "_seen", "_sources")

    def __init__(self, sources: Sequence[Source], seen: Seen) -> None:
        self._sources, self._seen = sources, seen
        self._found: dict[str, Decimal | None] = {}

    def __getitem__(self, asset: str) -> Decimal:
        if asset not in self._found:
            self._found[asset] = self._look_up(asset)
        price = self._found[asset]
        if price is None:
            raise KeyError(asset)
        return price

    def __iter__(self) -> Iterator[str]:
        return (asset for asset in self._seen.snapshot.amounts if asset in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _look_up(self, asset: str) -> Decimal | None:
        for source in self._sources:
            quote = source.quote(asset, self._seen)
            # One from the future is no older than one of now: clocks differ.
            if quote is not None and self._seen.now - quote.at <= source.max_age:
                return quote.price
        return None

    def why_not(self, asset: str) -> str:
        """Why this asset has no price, for people."""
        quotes = [quote for source in self._sources if (quote := source.quote(asset, self._seen)) is not None]
        if not quotes:
            return "no source has it"
        age = self._seen.now - max(quote.at for quote in quotes)
        return f"the newest is {duration_text(timedelta(seconds=age // timedelta(seconds=1)))} old"


def valued(record: Record, seen: Sighting, rules: Sequence[RuleBase]) -> Record:
    """The record remembering, of assets that rules judge in USD, their prices and what they were worth.

    `Record.valued` is kept as it is while an alert on the worth of that asset is open, and while it has no price.
    """
    in_usd = [rule for rule in rules if rule.in_usd]
    if not in_usd:
        return replace(record, valued={}, reported={}) if record.valued or record.reported else record

    def watched(asset: str) -> bool:
        return any(rule.watches(asset) for rule in in_usd)

    names = {rule.alert for rule in in_usd}
    alerting = {alert.subject for alert in record.alerts if alert.rule in names}
    worths = {asset: then for asset, then in record.valued.items() if watched(asset)}
    quotes = {asset: quote for asset, quote in record.reported.items() if watched(asset)}
    for asset, measures in seen.snapshot.amounts.items():
        if not watched(asset):
            continue
        if quote := reported(asset, seen.snapshot):
            quotes[asset] = quote._replace(price=worth(_ONE, quote.price))
        if asset not in alerting and (price := seen.prices.get(asset)) is not None:
            worths[asset] = Valued(measures, worth(_ONE, price), seen.now)
    return replace(record, valued=worths, reported=quotes)
