"""What a reading tells the guard."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from monitor.model.event import digest
from monitor.model.money import ZERO


@lru_cache(maxsize=20_000)
def whose(provider: str, target: object, origin: str = "") -> str:
    """Which money an account stands for, as a short text: another one where its name was given to another wallet.

    With the `origin` of its readings another one too where that changes: nobody knows whether the money there is the
    same. Credentials are no part of it: they are rotated.
    """
    return digest(provider, repr(target), origin)


class Fed(NamedTuple):
    """One asset as it was just read: `locked` is what `available` still contains and nobody may spend.

    `apart` is what is locked besides: a sign that somebody objects to the account, and no money to take off.
    """

    available: Decimal
    locked: Decimal
    apart: Decimal = ZERO


class Feed(NamedTuple):
    """The balances of an account as this very reading showed them, nothing carried over from an older one.

    `as_of` is set where the provider's own time is trusted: it is the fence where it is older than the request.
    `whole`: what is not in here is not known any more, whatever an older reading said. `whose` are they: see `whose`.
    """

    assets: Mapping[str, Fed]
    as_of: datetime | None = None
    whole: bool = False
    whose: str = ""
