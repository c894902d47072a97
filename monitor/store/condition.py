"""How channels as a whole are doing."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime

from monitor.model.channel import ChannelHealth
from monitor.model.window import moment
from monitor.store.keys import ChannelKeys
from monitor.store.session import Session


class ConditionStore(Session):
    """Implements what of the delivering port is about a channel as a whole."""

    def look_again(self, channel: str) -> None:
        """Something of that channel has changed: it is worth asking what is due."""

    async def try_now(self, channel: str) -> None:
        """Somebody may have mended it: no pause, and what waits for its next try is tried now."""
        where = ChannelKeys(channel)
        touched = [where.clock, where.due, where.critical, where.warning, where.failing]
        await self._calls.fcall("bm_try_now", touched, self._now)
        self.look_again(channel)

    async def channel_health(self, channels: Iterable[str]) -> dict[str, ChannelHealth]:
        """How these channels are doing, over all processes."""
        names = tuple(channels)
        return dict(zip(names, await asyncio.gather(*map(self._channel_health, names)), strict=True))

    async def _channel_health(self, channel: str) -> ChannelHealth:
        where = ChannelKeys(channel)
        touched = [where.health, where.clock, where.due, where.failing]
        return _health(await self._calls.fcall("bm_channel_health", touched, self._now))


def _health(reply: Sequence[bytes]) -> ChannelHealth:
    now, row, since, why, ok, dead, refused, pause, retry, waiting = reply
    at = moment(int(now))
    return ChannelHealth(
        at=at,
        row=int(row or 0),
        since=_moment(since),
        why=why.decode(),
        ok_at=_moment(ok),
        dead=int(dead or 0),
        refused=bool(refused),
        paused_until=_moment(pause) if pause and moment(int(pause)) > at else None,
        next_try_at=_moment(retry),
        waiting=int(waiting),
    )


def _moment(us: bytes) -> datetime | None:
    return moment(int(us)) if us else None
