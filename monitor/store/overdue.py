"""What should have been done by now and was not: read by whoever says that all is well."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from monitor.model.vital import Waiting
from monitor.model.window import micros, moment
from monitor.store.claiming import SILENT_AFTER
from monitor.store.keys import RUNNING, ChannelKeys
from monitor.store.session import Session

#: Accounts looked at in one partition: of more, the oldest tell enough.
LOOKED_AT = 20


class OverdueStore(Session):
    """Reads only, a few commands a partition: asked once for every heartbeat."""

    async def late_polls(self, provider: str, before: datetime) -> dict[str, datetime]:
        """Accounts whose poll was due before then and has not begun, or whose lease ended before then: since when."""
        until = str(micros(before))
        sets = [key for where in self.partitions for key in (where.due(provider), where.leased(provider))]
        command = ("ZRANGEBYSCORE", "-inf", until, "WITHSCORES", "LIMIT", "0", str(LOOKED_AT))
        found = await self._gather([(command[0], key, *command[1:]) for key in sets])
        late: dict[str, datetime] = {}
        for name, at in (pair for scored in found for pair in _scored(scored)):
            late[name] = min(at, late.get(name, at))
        return late

    async def running(self) -> int:
        """How many processes that poll have said of late that they run."""
        said = await self._calls.command("HVALS", RUNNING)
        since = micros(await self.time() - SILENT_AFTER)
        return sum(int(one.split(b" ", 1)[0]) >= since for one in said)

    async def unmoved(self) -> datetime | None:
        """Since when the oldest row waits to be applied to its group; None: there is none."""
        found = await self._gather([("ZRANGE", one.outdue, "0", "0", "WITHSCORES") for one in self.partitions])
        return min((at for scored in found for _, at in _scored(scored)), default=None)

    async def waiting(self, channel: str) -> Waiting:
        """How the messages of a channel wait."""
        where = ChannelKeys(channel)
        due, leased, clock = await self._gather(
            [
                ("ZRANGE", where.due, "0", "0", "WITHSCORES"),
                ("ZRANGE", where.leased, "0", "0", "WITHSCORES"),
                ("HMGET", where.clock, "token", "pause", "open"),
            ]
        )
        since = min((at for _, at in (*_scored(due), *_scored(leased))), default=None)
        token, *waits = (moment(int(float(one))) if one else None for one in clock)
        return Waiting(since, token, max(filter(None, waits), default=None))


def _scored(found: Sequence[Any]) -> list[tuple[str, datetime]]:
    """A flat answer of names and times."""
    return [(found[at].decode(), moment(int(float(found[at + 1])))) for at in range(0, len(found), 2)]
