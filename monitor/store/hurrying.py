"""Polls that somebody waits for: first in line, and paid for out of a part of the quota."""

from collections.abc import Iterable
from datetime import datetime

from monitor.engine.laneports import Wished
from monitor.engine.ports import Windows
from monitor.model.window import MICROSECOND, moment
from monitor.store import keys
from monitor.store.claiming import ClaimingStore


class HurryingStore(ClaimingStore):
    """Implements what of the polling port is about polls that somebody waits for."""

    async def poll_first(self, provider: str, account: str, *, join: bool, paid: bool) -> tuple[Wished, datetime]:
        """Make an account due now and first in line: what came of it, and the store's time of it.

        `there`: a poll that will do is to come already, or with `join` is under way. `none`: neither, and it was not
        `paid` for.
        """
        where = self.partition(account)
        now, answer = await self._calls.fcall(
            "bm_poll_first",
            [where.due(provider), where.leased(provider), where.ahead(provider)],
            self._now,
            account,
            "1" if join else "",
            "1" if paid else "",
            keys.WAKE,
            f"{where.number} {provider}",
        )
        wished: Wished = answer.decode()
        if wished == "new":
            self.hurry(provider, where.number)
        return wished, moment(int(now))

    def hurry(self, provider: str, partition: int) -> None:
        """An account of that partition is first in line: the next claim begins there."""
        if 0 <= partition < len(self.partitions):
            self._watch(provider).hurry(partition)

    async def take_lane(self, provider: str, windows: Windows, cost: int, most: Windows) -> bool:
        """Take `cost` from a provider's lane, where it fits under `most`; False also while nobody may spend.

        `windows` name the lane, `most` are the same with as much or less in each.
        """
        touched = [keys.quota(provider), *_lane(provider, windows)]
        times, _ = await self._calls.fcall("bm_take", touched, self._now, cost, 1, *_limits(most))
        return int(times) > 0

    async def give_back_lane(self, provider: str, windows: Windows, cost: int) -> None:
        """Return what was taken from a lane and not used."""
        if windows and cost > 0:
            await self._calls.fcall("bm_give_back", _lane(provider, windows), self._now, cost, *_limits(windows))

    async def charge_lane(self, provider: str, windows: Windows, cost: int) -> None:
        """A poll out of a lane has cost so much more, whether or not there was room for it."""
        if windows and cost > 0:
            await self._calls.fcall("bm_charge", _lane(provider, windows), self._now, cost, *_limits(windows))


def _lane(provider: str, windows: Windows) -> list[str]:
    return [keys.lane(provider, units, per // MICROSECOND) for units, per in windows]


def _limits(windows: Windows) -> Iterable[int]:
    return (number for units, per in windows for number in (units, per // MICROSECOND))
