"""The small periodic things of a process, rung by APScheduler and done by tasks of our own.

Jobs only ring: APScheduler swallows what a job raises and cuts jobs short at shutdown.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from monitor.concerns import REPORT_EVERY, Concerns
from monitor.engine.drill import end_overdue
from monitor.engine.ports import Clock
from monitor.errors import StoreUnavailable
from monitor.gauges import Gauges
from monitor.metrics import Metrics
from monitor.outlook import ChannelOutlook
from monitor.plan import Crew
from monitor.silencing import ending_silences
from monitor.store.redis import RedisStore

log = structlog.get_logger("monitor.duties")

#: Health notes are coalesced to one a second per process.
NOTE_EVERY = timedelta(seconds=1)
#: Rows whose committer died are moved this soon after they come due.
SWEEP_EVERY = timedelta(seconds=1)
#: Accounts swept in one call; more rings follow while there is more.
SWEEP_MAX = 200
#: Gauges that are counted, not told.
COUNT_EVERY = timedelta(seconds=15)
#: How soon a store that was emptied is noticed: until then nothing in it is due.
LOSS_EVERY = timedelta(seconds=5)
#: It cannot be undone, so what is told of it ends by itself.
LOSS_TOLD = timedelta(hours=1)
#: How often the other processes hear what we run; well within the time after which they take us for gone.
HOLD_EVERY = timedelta(seconds=5)
#: How soon it is told that a channel takes no messages, and how often that is renewed.
CHANNELS_EVERY = timedelta(seconds=5)
#: How soon prices that another process has fetched are used here.
PRICES_EVERY = timedelta(seconds=2)
#: How soon a silence that was made or ended elsewhere holds, or holds no longer, here.
SILENCES_EVERY = timedelta(seconds=0.5)
#: How soon an alert keeps nobody quiet any more that was lost with its record.
SOURCES_EVERY = timedelta(seconds=30)
#: How soon it is said that a silence is about to end.
REMIND_EVERY = timedelta(seconds=15)
#: How soon an account that another process has made is known here, and how late a watch ends whose time is over.
WATCHES_EVERY = timedelta(seconds=0.5)
#: How often accounts are looked for whose watch was over long ago.
FORGET_EVERY = timedelta(seconds=5)
#: How late a drill ends whose command is gone.
DRILLS_EVERY = timedelta(seconds=10)
HEARTBEAT = 0.5
#: Rings of one duty that a late event loop may begin at once.
RINGS_MAX = 1_000
#: The scheduler counts as alive while its rings are not older than this.
RING_PATIENCE = timedelta(seconds=10)


@dataclass(slots=True)
class Duty:
    """Something small that is done whenever its bell rings; rings during the work fold into one."""

    name: str
    work: Callable[[], Awaitable[None]]
    every: timedelta
    bell: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Work at every ring, for ever."""
        while True:
            await self.bell.wait()
            self.bell.clear()
            try:
                await self.work()
            except StoreUnavailable as error:
                log.debug("duty.put_off", duty=self.name, why=str(error))
            except Exception:
                # Bulkhead: a bug in one duty must not end it, nor the others.
                log.exception("duty.bug", duty=self.name)

    async def ring(self) -> None:
        """What the scheduler calls: nothing to swallow, nothing to cut short."""
        self.bell.set()


class Duties:
    """Runs the duties of a process over `crew`, that of the day."""

    def __init__(
        self, crew: Crew, store: RedisStore, gauges: Gauges, metrics: Metrics, clock: Clock, concerns: Concerns
    ) -> None:
        self.crew, self.store = crew, store
        self.gauges, self.metrics, self.clock, self.concerns = gauges, metrics, clock, concerns
        self._outlook = ChannelOutlook(metrics, concerns)
        self.rung_at = clock()
        self.lag = timedelta(0)
        self.store_up = True
        self._epochs: tuple[bytes | None, ...] = ()
        self._to_enrol = False
        self._scheduler = AsyncIOScheduler()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, *more: Duty) -> None:
        """Begin to ring, for these duties too."""
        duties = (
            Duty("note", self._note, NOTE_EVERY),
            Duty("sweep", self._sweep, SWEEP_EVERY),
            Duty("count", self._count, COUNT_EVERY),
            Duty("state", self._look_for_loss, LOSS_EVERY),
            Duty("report", partial(self.concerns.tell, self.store), REPORT_EVERY, self.concerns.bell),
            Duty("hold", self._hold, HOLD_EVERY),
            Duty("silences", self._silences, SILENCES_EVERY),
            Duty("reminders", self._remind, REMIND_EVERY),
            Duty("sources", self._sources, SOURCES_EVERY),
            Duty("prices", self._prices, PRICES_EVERY),
            Duty("channels", self._channels, CHANNELS_EVERY),
            Duty("drills", self._drills, DRILLS_EVERY),
            Duty("watches", self._watches, WATCHES_EVERY),
            Duty("forget", self._forget, FORGET_EVERY),
            *more,
        )
        for duty in duties:
            self._tasks.append(asyncio.create_task(duty.run()))
            # A late ring is still a ring: APScheduler would skip one that is a second late, or that comes before it has
            # heard that the last one is over, and complain of it.
            self._scheduler.add_job(
                duty.ring, "interval", seconds=duty.every.total_seconds(), misfire_grace_time=None, coalesce=True,
                max_instances=RINGS_MAX,
            )  # fmt: skip
        self._tasks.append(asyncio.create_task(self._heartbeat()))
        self._scheduler.start()

    async def stop(self) -> None:
        """Ring no more; what the last polls showed is noted by `Crew.flush`."""
        if self._scheduler.running:
            # Shut down it would cut short a ring that has just begun, and log that as an error. Paused, and awake once
            # more, it has no timer left.
            self._scheduler.pause()
            self._scheduler.wakeup()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _note(self) -> None:
        self.rung_at = self.clock()
        try:
            for poller in self.crew.pollers.values():
                await poller.note()
            await self.store.ping()
        except StoreUnavailable as error:
            self._say_store(up=False, why=str(error))
            raise
        self._say_store(up=True)

    def _say_store(self, *, up: bool, why: str = "") -> None:
        """A store that does not answer is news twice, however many ask it meanwhile."""
        if up and not self.store_up:
            log.info("store.recovered")
        elif self.store_up and not up:
            log.error("store.unavailable", why=why)
        self.store_up = up
        self.metrics.store(up=up)

    async def _sweep(self) -> None:
        if "deliver" not in self.crew.roles:
            return
        while await self.store.sweep(SWEEP_MAX) == SWEEP_MAX:
            pass

    async def _look_for_loss(self) -> None:
        """Begin anew where the store has lost everything: records are read as never written."""
        epochs = await self.store.epochs()
        if lost := _lost(self._epochs or epochs, epochs):
            log.error("state.lost", partitions=len(lost), of=len(epochs))
            self.concerns.report(
                "StateLost", f"{len(lost)} of its {len(epochs)} partitions were found empty", lasts=LOSS_TOLD
            )
            await self.store.quarantine_partitions(lost, self.crew.config.guard.terms())
            # Before the marks are set again: whoever dies in between leaves the loss to be found once more.
            await self.concerns.tell(self.store)
            await self.store.seed_epochs()
            epochs, self._to_enrol = await self.store.epochs(), True
        self._epochs = epochs
        if self._to_enrol:
            # Also where another process was the first to notice: its accounts may not be ours.
            await self.crew.enrol()
            self._to_enrol = False

    async def _hold(self) -> None:
        await self.crew.hold()

    async def _prices(self) -> None:
        await self.crew.feeds.refresh(self.store, self.metrics)

    async def _channels(self) -> None:
        if "deliver" in self.crew.roles:
            self._outlook.take(await self.store.channel_health(self.crew.deliverers))

    async def _silences(self) -> None:
        await self.crew.board.refresh()

    async def _sources(self) -> None:
        if "deliver" in self.crew.roles and (orphans := await self.crew.inhibited.tidy()):
            log.warning("inhibition.orphans", count=orphans)

    async def _remind(self) -> None:
        """Say which silences are about to end, to whoever made them."""
        if "poll" not in self.crew.roles:
            return
        for about, why in await ending_silences(self.crew, self.clock()):
            self.concerns.report("SilenceEnding", why, about=about, lasts=3 * REMIND_EVERY)

    async def _drills(self) -> None:
        if ended := await end_overdue(self.store, self.clock()):
            log.info("drills.ended", count=ended)

    async def _watches(self) -> None:
        await self.crew.visitors.follow()

    async def _forget(self) -> None:
        await self.crew.visitors.forget()

    async def _count(self) -> None:
        self.gauges.refresh()
        self.metrics.watches(len(self.crew.visitors.watches.watched))
        for channel in self.crew.deliverers:
            self.metrics.dead_letters(channel, await self.store.count_dead(channel))

    async def _heartbeat(self) -> None:
        """Measure how late the loop runs what is due."""
        while True:
            before = self.clock()
            await asyncio.sleep(HEARTBEAT)
            self.lag = max(timedelta(0), self.clock() - before - timedelta(seconds=HEARTBEAT))
            self.metrics.lag(self.lag)


def _lost(before: Sequence[bytes | None], now: Sequence[bytes | None]) -> list[int]:
    """The partitions that have lost everything; where another process has noticed it first, they began anew."""
    both = enumerate(zip(before, now, strict=True))
    return [number for number, (was, epoch) in both if epoch is None or epoch != was]
