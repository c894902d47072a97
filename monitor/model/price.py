"""What one unit of an asset costs, and at what an amount was valued."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from monitor.model.snapshot import Measures


class Quote(NamedTuple):
    """A price in the reporting currency, and when it was observed."""

    price: Decimal
    at: datetime

    def beats(self, known: "Quote") -> bool:
        """Whether it is newer; of two told for one moment the lower one, in whatever order they come."""
        return (known.at, self.price) <= (self.at, known.price)


#: What a source knows: asset → its latest quote.
Quotes = Mapping[str, Quote]


class Valued(NamedTuple):
    """An asset as it was last valued: how much of it there was, and at which price."""

    amounts: Measures
    price: Decimal
    at: datetime


class Fetched(NamedTuple):
    """What a source answered: prices by asset in capitals, and what is to be said of those left out."""

    prices: Mapping[str, Decimal]
    note: str = ""


class Posted(NamedTuple):
    """What a source last said, as all processes share it. `of` names the settings it was fetched by."""

    of: str
    at: datetime
    quotes: Quotes
