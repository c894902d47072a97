"""The lane of polls that somebody waits for: a part of the quota, so that no storm of them starves the schedule."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from monitor.engine.laneports import LaneStore, Wished
from monitor.engine.ports import Windows

#: Of each window of a quota, and of the places for polls: four in five for those that somebody waits for.
WAITED, OF = 4, 5


@dataclass(frozen=True, slots=True)
class Lane:
    """One provider's, over all processes. `cost` is that of an ordinary poll. Raises StoreUnavailable."""

    store: LaneStore
    provider: str
    windows: Windows
    cost: int

    @classmethod
    def of(cls, store: LaneStore, provider: str, quota: Windows, cost: int) -> Self:
        """The lane of a provider with that quota."""
        return cls(store, provider, lane(quota, cost), cost)

    async def wish(self, account: str, *, join: bool) -> tuple[Wished, datetime]:
        """Have an account polled first in line, as `poll_first` does; it is paid for unless a poll that will do is to
        come already. `none`: there is no room for one more."""
        poll_first, provider = self.store.poll_first, self.provider
        found = await poll_first(provider, account, join=join, paid=False)
        if found[0] == "none" and await self.take():
            found = await poll_first(provider, account, join=join, paid=True)
            if found[0] != "new":
                # Another process was a moment earlier.
                await self.give_back()
        return found

    async def take(self, *, soft: bool = False) -> bool:
        """Pay for one poll; one that nobody waits for only while less than half is used."""
        most = tuple((units // 2, per) for units, per in self.windows) if soft else self.windows
        return await self.store.take_lane(self.provider, self.windows, self.cost, most)

    async def give_back(self) -> None:
        """That poll was not needed."""
        await self.store.give_back_lane(self.provider, self.windows, self.cost)

    async def charge(self, cost: int) -> None:
        """A poll has cost so much more than was paid."""
        await self.store.charge_lane(self.provider, self.windows, cost)


def lane(quota: Windows, cost: int) -> Windows:
    """Four fifths of each window; of so many together that a poll fits in."""
    found = []
    for units, per in quota:
        times = max(1, -(-OF * cost // (WAITED * units)))
        found.append((WAITED * units * times // OF, per * times))
    return tuple(dict.fromkeys(found))
