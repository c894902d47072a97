"""Sums are added up anew when something they are over has changed: at once, and then at most once a second."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from monitor.engine.ports import PollStore
from monitor.engine.watch import STORE_PROVIDER
from monitor.errors import StoreUnavailable

log = structlog.get_logger("monitor.sums")

#: Changes within this fold into one evaluation.
FOLD = timedelta(seconds=1)


@dataclass(slots=True)
class Kicker:
    """Makes pseudo accounts due. A kick that is lost costs one of their intervals, nothing else."""

    store: PollStore
    wake: Callable[[], None]
    stopping: bool = False
    _due: set[str] = field(default_factory=set)
    _bell: asyncio.Event = field(default_factory=asyncio.Event)

    def ring(self, names: Iterable[str]) -> None:
        """Something that these are over has changed."""
        self._due.update(names)
        self._bell.set()

    async def run(self) -> None:
        """Kick until `stop`."""
        while True:
            await self._bell.wait()
            self._bell.clear()
            if self.stopping:
                return
            names, self._due = self._due, set()
            try:
                await asyncio.gather(*(self.store.poll_now(STORE_PROVIDER, name) for name in names))
            except StoreUnavailable as error:
                log.debug("sums.not_kicked", why=str(error))
            self.wake()
            if not self.stopping:
                await asyncio.sleep(FOLD.total_seconds())

    def stop(self) -> None:
        """Kick no more."""
        self.stopping = True
        self._bell.set()

    async def abandon(self) -> None:
        """Nothing is in flight for long."""
