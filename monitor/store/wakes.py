"""Hears from other processes for whom a poll is to begin at once.

What is lost is no loss: whoever polls looks at the store each second anyway.
"""

import asyncio
import contextlib
from collections.abc import Callable
from itertools import cycle

import structlog
from redis.exceptions import RedisError

from monitor.store.keys import WAKE
from monitor.store.url import Address
from monitor.store.wire import Connections

log = structlog.get_logger("monitor.wakes")

#: Between two tries to connect again, growing.
_PAUSE_FIRST_S, _PAUSE_LAST_S = 0.2, 5.0

#: Told the provider and its partition; with None that some word may have been lost.
Heard = Callable[[str | None, int], None]


class Wakes:
    """Listens on a connection of its own until it is cancelled, and connects again when that is lost.

    In a cluster any node hears what is published at another.
    """

    def __init__(self, where: Address, heard: Heard) -> None:
        nodes = [where.node(*host) for host in where.hosts] if where.clustered else [where]
        self._nodes, self._heard = cycle(nodes), heard
        self._pause = _PAUSE_FIRST_S

    async def run(self) -> None:
        """Listen, for ever."""
        while True:
            connections = Connections(next(self._nodes))
            try:
                await self._listen(connections)
            except (RedisError, OSError, TimeoutError) as error:
                log.debug("wakes.lost", why=type(error).__name__)
            finally:
                await connections.close()
            await asyncio.sleep(self._pause)
            self._pause = min(2 * self._pause, _PAUSE_LAST_S)

    async def _listen(self, connections: Connections) -> None:
        async with contextlib.aclosing(connections.listen(WAKE)) as words:
            async for word in words:
                self._pause = _PAUSE_FIRST_S
                partition, _, provider = word.decode("utf-8", "replace").partition(" ")
                if not word:
                    self._heard(None, 0)
                elif partition.isdecimal() and provider:
                    self._heard(provider, int(partition))
