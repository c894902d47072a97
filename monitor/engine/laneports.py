"""What polls that somebody waits for need of the store."""

from datetime import datetime
from typing import Literal, Protocol

from monitor.engine.ports import Windows
from monitor.engine.records import Records
from monitor.model.record import Health

#: What came of the wish for a poll: it was made · one that will do is to come already · it was not made.
Wished = Literal["new", "there", "none"]


class LaneStore(Protocol):
    """Raises StoreUnavailable when there is no answer."""

    async def poll_first(self, provider: str, account: str, *, join: bool, paid: bool) -> tuple[Wished, datetime]:
        """Make an account due now and first in line: what came of it, and the store's time of it.

        `there`: a poll that will do is to come already, or with `join` is under way. `none`: neither, and it was not
        `paid` for.
        """
        ...

    async def take_lane(self, provider: str, windows: Windows, cost: int, most: Windows) -> bool:
        """Take `cost` from a provider's lane, where it fits under `most`; False also while nobody may spend.

        `windows` name the lane, `most` are the same with as much or less in each.
        """
        ...

    async def give_back_lane(self, provider: str, windows: Windows, cost: int) -> None:
        """Return what was taken from a lane and not used."""
        ...

    async def charge_lane(self, provider: str, windows: Windows, cost: int) -> None:
        """A poll out of a lane has cost so much more, whether or not there was room for it."""
        ...

    async def health(self, provider: str) -> Health:
        """How the provider is doing, over all processes."""
        ...


class RefreshStore(LaneStore, Records, Protocol):
    """What whoever waits for a poll needs besides: to see what came of it, wherever it was polled."""

    async def poll_now(self, provider: str, account: str) -> None:
        """Make an account due now; during its poll, one more follows."""
        ...

    async def seen_at(self, account: str) -> tuple[datetime | None, datetime]:
        """When the newest request began that told a balance of this account, and the store's time."""
        ...
