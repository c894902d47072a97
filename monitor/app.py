"""The daemon's life: store, signals, reload and the way out."""

import asyncio
import signal
import sys
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import TypeVar

import structlog

from monitor import __version__
from monitor import log as logs
from monitor.channels.http import Http
from monitor.channels.http import new_session as new_chat_session
from monitor.clock import FollowedClock, wall_clock
from monitor.concerns import Concerns, first_of
from monitor.config import Config, hide_secrets, load
from monitor.config.sources import FileWatch, Sources, aside
from monitor.connectivity import Lookout
from monitor.duties import Duties, Duty
from monitor.engine.offline import LOOK_SOON
from monitor.errors import ConfigError, StoreUnavailable, StoreUnusable
from monitor.gauges import Gauges
from monitor.guard_staff import GuardStaff
from monitor.guardwatch import GuardWatch, listen
from monitor.heartbeat import LOOK_EVERY, Heart
from monitor.metrics import Metrics
from monitor.plan import Crew
from monitor.process import calm_collector, run_async
from monitor.providers.http import new_session
from monitor.serving import Front
from monitor.store.embedded import EmbeddedServer
from monitor.store.redis import RedisStore
from monitor.store.session import Keep
from monitor.vitals import Vitals

T = TypeVar("T")
log = structlog.get_logger("monitor.app")

ROLES = frozenset({"poll", "deliver", "api"})
#: How often the files of the configuration are looked at; one that has changed is read at the next look.
FILES_EVERY = timedelta(seconds=2)


class Daemon:
    """One process. `run` returns the exit code."""

    def __init__(
        self, path: Path, config: Config, sources: Sources, roles: frozenset[str], level: logs.Level | None = None
    ) -> None:
        self.path, self.config, self.roles, self.level = path, config, roles, level
        self.files = FileWatch(sources)
        self.clock = FollowedClock()
        self.metrics = Metrics(__version__)
        self.concerns = Concerns.here(self.clock)
        self.gauges = Gauges(self.metrics, self.clock, self.concerns)
        self.lookout = Lookout(self.clock, self.concerns)
        self.guardwatch = GuardWatch(self.concerns, self.clock)
        self._stopping = asyncio.Event()
        self._reloading = asyncio.Event()
        self._asked = False
        self._leaving: dict[asyncio.Task[None], Crew] = {}
        self._exit = 0

    async def run(self) -> int:
        """Start, serve until a signal, flush and leave."""
        async with AsyncExitStack() as stack:
            self._listen_to_signals()
            self.store = await self._open_store(stack)
            self.session = await stack.enter_async_context(new_session(self.config.egress))
            self.chat_session = await stack.enter_async_context(new_chat_session(self.config.egress))
            crew = self._new_crew(self.config)
            self.duties = Duties(crew, self.store, self.gauges, self.metrics, self.clock, self.concerns)
            vitals = Vitals(self.duties, self.lookout)
            door = Http(self.chat_session, wall_clock)
            self.heart = Heart(self.clock, self.metrics.beats, vitals, door, lambda: self.config.heartbeats)
            self.guard_staff = GuardStaff(self.store, self.clock, self.metrics.guard, self.guardwatch.late)
            self._employ(self.config, crew)
            stack.push_async_callback(self._finish)
            # It takes a while with many accounts, so before there is anything to hold up.
            calm_collector()
            await self.crew.prepare()
            self.crew.start()
            await self.duties.start(*self._own_duties())
            if "poll" in self.roles:
                stack.callback(listen(self.url, lambda: self.crew).cancel)
            if "api" in self.roles:
                self.front = await Front.open(self.config, self.crew, self.duties, self.guard_staff)
                stack.push_async_callback(self.front.close)
                log.info("api.listening", address=self.front.address)
            log.info("daemon.started", roles=sorted(self.roles), accounts=len(self.config.accounts))
            await self._serve()
            log.info("daemon.stopping")
        log.info("daemon.stopped")
        return self._exit

    def stop(self, code: int = 0) -> None:
        """Leave in good order, whatever is going on."""
        self._exit = max(self._exit, code)
        self._stopping.set()

    def _new_crew(self, config: Config) -> Crew:
        shared = self.session, self.chat_session, self.roles, self.guardwatch.bell.set
        return Crew(config, self.store, self.clock, self.gauges, *shared, lookout=self.lookout)

    def _own_duties(self) -> tuple[Duty, ...]:
        return (
            Duty("files", self._look_at_files, FILES_EVERY),
            Duty("connectivity", self.lookout.look, LOOK_SOON, self.lookout.bell),
            Duty("heartbeat", self.heart.beat, LOOK_EVERY),
            *self.guardwatch.duties(lambda: self.crew),
            *self.guard_staff.duties(),
        )

    def _employ(self, config: Config, crew: Crew) -> None:
        """From now on this configuration is the one in force."""
        self.config, self.crew = config, crew
        self.store.keep = _kept(config)
        self.gauges.expect(crew.accounts.values())
        polled = config.accounts.values() if "poll" in self.roles else ()
        self.lookout.expect(polled, config.connectivity, config.egress)
        self.gauges.loud = (self.level or config.log.level) == "debug"
        self.metrics.configured(config.digest)

    async def _open_store(self, stack: AsyncExitStack) -> RedisStore:
        url, life = self.config.store.url, ""
        if self.config.store.embedded:
            server = EmbeddedServer(self.config.store.directory, fsync=self.config.store.fsync)
            url = await server.start()
            life = server.life
            stack.push_async_callback(server.stop)
            watcher = asyncio.create_task(self._watch(server))
            stack.callback(watcher.cancel)
        self.url = url
        store = await RedisStore.connect(url, keep=_kept(self.config), life=life)
        stack.push_async_callback(store.close)
        return store

    async def _watch(self, server: EmbeddedServer) -> None:
        """Restart the private server when it dies; give up when it keeps dying."""
        while True:
            await server.wait_down()
            self.metrics.store(up=False)
            log.error("store.died")
            try:
                await server.restart()
            except StoreUnusable as error:
                log.error("store.gave_up", why=str(error))
                self.stop(1)
                return
            log.warning("store.restarted")

    async def _serve(self) -> None:
        while await self._unless_stopped(self._reloading.wait()):
            self._reloading.clear()
            asked, self._asked = self._asked, False
            try:
                await self._reload(asked=asked)
            except Exception as bug:
                # Bulkhead: a file that we cannot even refuse must not end a daemon that works by another one.
                log.exception("config.bug")
                self._not_reloaded(f"bug in reading it: {type(bug).__name__}")

    async def _unless_stopped(self, work: Coroutine[None, None, T]) -> T | None:
        """What the work says, or None when we are to leave first: reading may never end."""
        tasks = asyncio.create_task(work), asyncio.create_task(self._stopping.wait())
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return None if self._stopping.is_set() else tasks[0].result()

    def _hang_up(self) -> None:
        """Somebody asks for a reload."""
        self._asked = True
        self._reloading.set()

    async def _look_at_files(self) -> None:
        if await self.files.changed():
            log.info("config.changed")
            self._reloading.set()

    async def _reload(self, *, asked: bool) -> None:
        """Read the configuration again; an invalid one changes nothing, nor does one that says the same."""
        sources = Sources()
        try:
            config = await self._unless_stopped(aside(partial(load, self.path, sources=sources)))
        except ConfigError as error:
            log.error("config.reload_failed", mistakes=error.mistakes[:20], count=len(error.mistakes))
            self._not_reloaded(first_of(error.mistakes))
            return
        finally:
            self.files.sources = sources
        if config is None:
            return
        if config.digest != self.config.digest:
            await self._follow(config)
        elif asked:
            log.info("config.unchanged", digest=config.digest)
            await self.crew.probe()
        self.metrics.reloaded(ok=True)
        self.concerns.settle("ConfigReloadFailed")

    def _not_reloaded(self, why: str) -> None:
        self.metrics.reloaded(ok=False)
        self.concerns.report("ConfigReloadFailed", why)

    async def _follow(self, config: Config) -> None:
        """Work by another configuration from now on."""
        hide_secrets(config)
        crew = self._new_crew(config)
        await crew.prepare()
        for key in ("store", "http.listen", "egress"):
            if attrgetter(key)(config) != attrgetter(key)(self.config):
                log.warning("config.needs_restart", key=key)
        logs.configure(self.level or config.log.level, config.log.format, sys.stderr, wall_clock)
        self._retire(self.crew)
        self._employ(config, crew)
        crew.start()
        self.duties.crew = crew
        if "api" in self.roles:
            self.front.follow(config, crew)
        await crew.probe()
        self.concerns.settle("TemplateError")
        log.info("config.reloaded", accounts=len(config.accounts), digest=config.digest)

    def _retire(self, crew: Crew) -> None:
        """Let a crew finish what is in flight while the next one works: one that hangs must not stop the rest."""
        leaving = asyncio.create_task(_dismissed(crew))
        self._leaving[leaving] = crew
        leaving.add_done_callback(self._leaving.pop)

    async def _finish(self) -> None:
        """Stop polling, finish what is in flight, flush what is owed as far as the time allows."""
        limit = self.config.shutdown_timeout.total_seconds()
        crews = [self.crew, *self._leaving.values()]
        try:
            async with asyncio.timeout(limit):
                await self.duties.stop()
                await self.guard_staff.finish()
                await asyncio.gather(self.heart.stopping(), *(crew.stop() for crew in crews))
                await self.crew.flush()
        except TimeoutError:
            log.warning("daemon.unfinished", waited=limit)
            # Not left to fail when the sessions close under them: that would look like an outage.
            await asyncio.gather(*(crew.abandon() for crew in crews))
        except StoreUnavailable as error:
            log.warning("daemon.unflushed", why=str(error))

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        if hasattr(signal, "SIGHUP"):
            loop.add_signal_handler(signal.SIGHUP, self._hang_up)


def _kept(config: Config) -> Keep:
    """How much history a configuration wants."""
    history = config.history
    return Keep(age=history.keep, points=history.max_points, events=history.max_events)


async def _dismissed(crew: Crew) -> None:
    await crew.stop()
    crew.dissolve()


def run_daemon(path: Path, roles: frozenset[str], level: logs.Level | None) -> int:
    """Run until a signal and return the exit code. ConfigError when the configuration cannot be used."""
    sources = Sources()
    config = load(path, sources=sources)
    hide_secrets(config)
    logs.configure(level or config.log.level, config.log.format, sys.stderr, wall_clock)
    logs.catch_uncaught()
    for warning in config.warnings:
        log.warning("config.doubtful", what=warning)

    async def main() -> int:
        return await Daemon(path, config, sources, roles, level).run()

    try:
        return run_async(main)
    except (StoreUnusable, StoreUnavailable) as error:
        log.error("store.unusable", why=str(error))
        return 1
