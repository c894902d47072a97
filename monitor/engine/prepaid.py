"""What one poll may spend."""

from dataclasses import dataclass
from datetime import timedelta

from monitor.engine.lane import Lane
from monitor.engine.ports import PollStore, Windows
from monitor.errors import ProviderThrottled


@dataclass(slots=True)
class Prepaid:
    """The budget of one poll: what was taken before it began, then the shared quota. `lane` is told what more is spent
    where somebody waits for the poll."""

    store: PollStore
    provider: str
    windows: Windows
    paid: int
    wait: timedelta | None = None
    lane: Lane | None = None

    async def spend(self, cost: int) -> None:
        if self.wait is not None:
            raise ProviderThrottled("the quota is spent", self.wait)
        covered = min(self.paid, cost)
        self.paid -= covered
        if cost > covered and self.windows:
            taken, wait = await self.store.take(self.provider, self.windows, cost - covered, 1)
            if not taken:
                raise ProviderThrottled("the quota is spent", wait)
            if self.lane:
                await self.lane.charge(cost - covered)

    async def correct(self, remaining: int) -> None:
        if self.windows:
            await self.store.correct(self.provider, self.windows, remaining)


class _Free:
    """The budget of who asks nobody, or asks once by hand."""

    async def spend(self, cost: int) -> None:
        """It is not counted."""

    async def correct(self, remaining: int) -> None:
        """There is nothing to correct."""


FREE = _Free()
