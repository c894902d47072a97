"""Keeps one channel's groups told: claims what is due, as much as there is room and rate for."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from monitor.engine.deliver import LEASE, Destination
from monitor.engine.digest import DigestStore, deliveries
from monitor.engine.ports import Clock, unheard
from monitor.errors import StoreUnavailable

log = structlog.get_logger("monitor.deliverer")

#: The longest sleep between two looks at the store: other processes apply news too, and timers run out.
LOOK_AGAIN = timedelta(milliseconds=250)
#: The shortest: our clock may run a little ahead of the store's, which then has nothing due yet.
BREATH = timedelta(milliseconds=1)
#: How long to leave a store alone that does not answer.
STORE_PAUSE = timedelta(seconds=1)


@dataclass(slots=True)
class Deliverer:
    """One channel's messages in this process: a slow send holds up no other group.

    `bell` wakes the loop early; `rate` is so many messages per so long, over all processes; `claimed` hears how
    long the store took to say what is due.
    """

    destination: Destination
    store: DigestStore
    clock: Clock
    rate: tuple[int, timedelta] | None = None
    claimed: Callable[[timedelta], None] = unheard
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: bool = False
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> None:
        """Deliver until `stop`, then finish what is in flight."""
        while not self.stopping:
            self.bell.clear()
            wait = await self.claim()
            if wait > timedelta(0):
                await self._sleep(wait)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def stop(self) -> None:
        """Claim nothing more; `run` returns when the last message has been settled."""
        self.stopping = True
        self.bell.set()

    async def abandon(self) -> None:
        """Cut short what is in flight, for lack of time: it goes out again as it is when its lease ends."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def drain(self) -> bool:
        """Tell what is due now; whether nothing was. For the way out, after `run`."""
        await self.claim()
        idle = not self._tasks
        if self._tasks:
            await asyncio.wait(self._tasks)
        return idle

    async def exhaust(self) -> None:
        """Tell what is due until nothing is."""
        while not await self.drain():
            pass

    async def claim(self) -> timedelta:
        """Start telling what is due; returns how long to wait before looking again."""
        room = self.destination.most - len(self._tasks)
        if room <= 0:
            return LOOK_AGAIN
        asked = self.clock()
        try:
            groups = await self.store.claim_groups(
                self.destination.name, room, LEASE, self.rate, self.destination.together
            )
            self.claimed(self.clock() - asked)
        except StoreUnavailable as error:
            log.debug("claim.put_off", channel=self.destination.name, why=str(error))
            return STORE_PAUSE
        for delivery in deliveries(self.store, self.destination, groups, self.clock):
            task = asyncio.create_task(delivery)
            self._tasks.add(task)
            task.add_done_callback(self._done)
        more = len(groups) == room or (bool(groups) and groups[0].together)
        return timedelta(0) if more else self._until_due()

    def _until_due(self) -> timedelta:
        due_at = self.store.groups_due(self.destination.name)
        return LOOK_AGAIN if due_at is None else min(max(due_at - self.clock(), BREATH), LOOK_AGAIN)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        # What was told may have left more to tell.
        self.bell.set()

    async def _sleep(self, wait: timedelta) -> None:
        try:
            async with asyncio.timeout(wait.total_seconds()):
                await self.bell.wait()
        except TimeoutError:
            pass
