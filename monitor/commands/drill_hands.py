"""Delivery by a command, for a store that no daemon works on."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from monitor import __version__
from monitor.channels.http import new_session
from monitor.clock import FollowedClock
from monitor.concerns import Concerns
from monitor.config import Config
from monitor.gauges import Gauges
from monitor.metrics import Metrics
from monitor.plan import Crew
from monitor.store.redis import RedisStore


@dataclass(slots=True)
class Hands:
    """Deliverers of the command's own, which begin when it is told to."""

    config: Config
    store: RedisStore
    #: Whether some process says that it runs; then it is given the time to deliver.
    daemon: bool = False
    busy: bool = False
    _crew: Crew | None = None
    _session: Any = None

    async def __aenter__(self) -> Self:
        self.daemon = await self.store.running() > 0
        return self

    async def deliver(self) -> None:
        """Send what is due, like a daemon with the role `deliver`."""
        clock = FollowedClock()
        clock.follow(await self.store.time())
        gauges = Gauges(Metrics(__version__), clock, Concerns.here(clock))
        self._session = new_session(self.config.egress)
        roles = frozenset({"deliver"})
        # It polls nobody, so it needs no session for that.
        self._crew = Crew(self.config, self.store, clock, gauges, self._session, self._session, roles)
        await self._crew.prepare()
        self._crew.start()
        self.busy = True

    async def __aexit__(self, *_: object) -> None:
        if self._crew is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.config.shutdown_timeout.total_seconds()):
                    await self._crew.stop()
                    await self._crew.flush()
            await self._crew.abandon()
            await self._session.close()
