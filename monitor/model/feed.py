"""What a reading tells the guard."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple


class Fed(NamedTuple):
    """One asset as it was just read: `locked` is what `available` still contains and nobody may spend."""

    available: Decimal
    locked: Decimal


class Feed(NamedTuple):
    """The balances of an account as this very reading showed them, nothing carried over from an older one.

    `as_of` is set where the provider's own time is trusted and older than the request: then it is the fence.
    """

    assets: Mapping[str, Fed]
    as_of: datetime | None = None
