"""What following the accounts there are needs of the store, and of those who work with them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, Protocol

from monitor.model.record import Account
from monitor.model.watch import Alone, Ended, Ending, Former, Place, Watched, WatchNews


class WatchStore(Protocol):
    """The part of the store that keeps watches. Every method raises StoreUnavailable when it does not answer."""

    async def watch(
        self,
        account: str,
        provider: str,
        settings: str,
        expires_in: timedelta | None,
        kept: timedelta,
        alone: Alone | None = None,
    ) -> tuple[Watched, bool, str] | Former | Literal["full", "contested"]:
        """Watch an account from now on: the watch, whether it is new, and the provider before if there was one.

        It is written when this returns. `full`: there are too many. `contested`: somebody may have come to stand for
        its wallet since the place that `alone` names; look at the news, and ask again. `Former` stood for its wallet
        lately: see that it is at rest, and ask again.
        """
        ...

    async def at_rest(self, account: str, read_lag: timedelta) -> bool:
        """Whether the guard holds nothing of this account, and owes nothing that new readings may not show."""
        ...

    async def unwatch(self, account: str, reason: Ending, kept: timedelta) -> Ended | None:
        """End a watch now; None when there is none. For so long it is remembered."""
        ...

    async def watch_news(self, since: Place | None, kept: timedelta) -> WatchNews:
        """End what has lasted long enough, by the store's own clock, and tell what has changed since then."""
        ...

    async def find_watch(self, account: str) -> Watched | Ended | None:
        """What is known of an account; None when it was never watched, or that is forgotten."""
        ...


class Enlisted(NamedTuple):
    """What a watch comes to under a configuration: the account, and `plan`, when it is polled."""

    account: Account
    plan: object


class Crowd(Protocol):
    """Whoever works with the accounts there are. What it is told is so already."""

    def change(self, before: Account | None, now: Enlisted | None) -> None:
        """An account has come, is another, or has gone."""
        ...

    async def begin(self, account: Account, moved_from: str) -> None:
        """It was made, or changed, here: read it at once. `moved_from` is its provider before, empty for none."""
        ...

    async def enrol(self, accounts: Sequence[Account]) -> None:
        """They were made, or changed, somewhere: see that they are polled."""
        ...

    async def end(self, ended: Sequence[Ended]) -> None:
        """They were ended here: close what is open of them soon."""
        ...


class Kept(NamedTuple):
    """A watch that was asked for: `new` says that there was none."""

    account: Account
    expires_at: datetime | None
    new: bool
