"""Heartbeats out: a ping to somebody outside for as long as everything works, so that silence is noticed.

One ping an interval, never repeated: the next one comes by itself. healthchecks.io takes a POST, keeps up to 100 kB of
its body, and every ping counts as success (https://healthchecks.io/docs/attaching_logs/); Uptime Kuma's push monitors
take any method and read only the query of the URL (`router.all("/api/push/…")` in its api-router.js).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from monitor.channels.http import Http
from monitor.config.watchdog_settings import Heartbeat
from monitor.engine.ports import Clock
from monitor.errors import DeliveryError, StoreUnavailable
from monitor.metrics.beats import BeatMetrics

#: How often it is looked whether a ping is due, and how long one may take: on the way out, others wait for it.
LOOK_EVERY, PING_TIMEOUT, LAST_TIMEOUT = timedelta(seconds=1), timedelta(seconds=10), timedelta(seconds=3)
#: What a ping says, for whoever reads the log of pings.
WELL, STOPPING = b"ok", b"stopping"
_HEADERS = {"Content-Type": "text/plain; charset=utf-8"}

log = structlog.get_logger("monitor.heartbeat")

#: What does not work, by what is known now; StoreUnavailable where that cannot be known.
Examine = Callable[[], Awaitable[Sequence[str]]]


@dataclass(slots=True)
class Heart:
    """The heartbeats of one process, those that `configured` says now; `beat` is called every second or so."""

    clock: Clock
    metrics: BeatMetrics
    examine: Examine
    http: Http
    configured: Callable[[], tuple[Heartbeat, ...]]
    _next_at: dict[Heartbeat, datetime] = field(default_factory=dict)
    _troubles: tuple[str, ...] = ()
    _failing: set[Heartbeat] = field(default_factory=set)
    #: Whether the last look found all well: only then does a planned stop say so.
    _well: bool = False

    async def beat(self) -> None:
        """Ping where it is time to, if all is well."""
        now, beats = self.clock(), self.configured()
        self._next_at = {beat: self._next_at.get(beat, now) for beat in beats}
        due = {beat: number for number, beat in enumerate(beats, 1) if self._next_at[beat] <= now}
        if not due:
            return
        for beat in due:
            planned = self._next_at[beat] + beat.every
            # A rhythm of its own, unless that was missed.
            self._next_at[beat] = planned if planned > now else now + beat.every
        if await self._all_well():
            await asyncio.gather(*(self._ping(beat, number, WELL, PING_TIMEOUT) for beat, number in due.items()))
        else:
            for _ in due:
                self.metrics.withheld()

    async def stopping(self) -> None:
        """Say that the silence to come is meant; not where there already was one."""
        if self._well:
            beats = enumerate(self.configured(), 1)
            await asyncio.gather(*(self._ping(beat, number, STOPPING, LAST_TIMEOUT) for number, beat in beats))

    async def _all_well(self) -> bool:
        try:
            troubles = tuple(await self.examine())
        except StoreUnavailable:
            troubles = ("the store does not answer",)
        if troubles and not self._troubles:
            log.error("heartbeat.withheld", why="; ".join(troubles))
        elif self._troubles and not troubles:
            log.info("heartbeat.resumed")
        self._troubles, self._well = troubles, not troubles
        return self._well

    async def _ping(self, beat: Heartbeat, number: int, says: bytes, within: timedelta) -> None:
        """One ping, whatever comes of it. Its URL is a secret, so it goes by its place in the file."""
        try:
            reply = await self.http.post(beat.url, says, _HEADERS, self.clock(), within)
            why = "" if 200 <= reply.status < 300 else reply.why
        except DeliveryError as error:
            why = str(error)
        self.metrics.pinged(ok=not why)
        if why and beat not in self._failing:
            self._failing.add(beat)
            log.warning("heartbeat.failing", heartbeat=number, why=why)
        elif not why and beat in self._failing:
            self._failing.discard(beat)
            log.info("heartbeat.recovered", heartbeat=number)
