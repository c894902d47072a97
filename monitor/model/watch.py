"""Accounts made at run time: watches."""

from datetime import datetime, timedelta
from typing import Literal, NamedTuple

#: Watches at once; each is an account that is polled.
WATCHES_MAX = 100_000
#: A watch lasts for at most so long, if not for ever.
LONGEST = timedelta(days=366)

#: Why a watch is over. `account_configured`: the configuration has an account of its name, which goes on.
Ending = Literal["watch_expired", "account_removed", "account_configured"]


class Watched(NamedTuple):
    """A watch as the store keeps it. `settings` are those of a configured account, as JSON.

    `number` says which of two words about an account is the later one. `expires_at` None: until somebody ends it.
    """

    account: str
    provider: str
    settings: str
    number: int
    expires_at: datetime | None = None


class Ended(NamedTuple):
    """A watch that is over, for as long as that is remembered."""

    account: str
    provider: str
    reason: Ending
    number: int


class Place(NamedTuple):
    """How far somebody has read what changed. Another `life` of the list begins anew."""

    life: str
    number: int


class Alone(NamedTuple):
    """That nobody else stands for a wallet, as far as somebody knows who has read what changed up to `seen`.

    For so long after the account has left the wallet it `matters` that it stood for it. `cleared` is who has left it
    before and neither holds nor owes any of its money.
    """

    wallet: str
    seen: Place | None
    matters: timedelta = timedelta(0)
    cleared: str = ""


class Former(NamedTuple):
    """Who stood for a wallet last, and for how long that is over."""

    account: str
    since: timedelta


class WatchNews(NamedTuple):
    """What has changed since a place; `place` is where to go on, at once where there is `more`.

    `whole`: nobody knows what has changed since then, and this is the beginning of all there is. `alive` is how many
    watches there are. `expired` has this very call ended: whoever made it sees to them.
    """

    now: datetime
    place: Place
    live: tuple[Watched, ...]
    ended: tuple[Ended, ...]
    expired: tuple[Ended, ...]
    alive: int
    whole: bool
    more: bool
