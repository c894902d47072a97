"""What one process runs for one configuration: the crew of its pollers and deliverers."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import aiohttp
import structlog

from monitor.config import Config
from monitor.connectivity import Lookout
from monitor.engine.afresh import Afresh
from monitor.engine.deliverer import Deliverer
from monitor.engine.everyone import Everyone
from monitor.engine.inhibitions import Inhibited
from monitor.engine.kicks import Kicker
from monitor.engine.offline import theirs
from monitor.engine.poll import Polled, Polling
from monitor.engine.poller import Poller
from monitor.engine.ports import Claim
from monitor.engine.retire import sweep
from monitor.engine.silences import Board
from monitor.engine.watch import STORE_PROVIDER, Watch, stand_ins
from monitor.enrolment import Enrolment
from monitor.errors import StoreUnavailable
from monitor.feeds import Feeds
from monitor.gauges import Gauges
from monitor.guard_means import GuardMeans
from monitor.membership import Membership
from monitor.model.record import Account
from monitor.parts import Following, Part
from monitor.staff import destination, means, policy, suppressor
from monitor.store.redis import RedisStore
from monitor.turnout import turn_out
from monitor.visitors import Visitors, idle

#: Between two tries of something that has to succeed in the end.
AGAIN = timedelta(seconds=1)
#: A part that has run for so long since it ended by a bug is well again.
MENDED_AFTER = timedelta(seconds=10)

log = structlog.get_logger("monitor.plan")


@dataclass(slots=True)
class Crew:
    """The pollers and deliverers of one configuration. `prepare`, `start` and `stop` are called in this order, once."""

    config: Config
    store: RedisStore
    clock: Following
    gauges: Gauges
    session: aiohttp.ClientSession
    chat_session: aiohttp.ClientSession
    roles: frozenset[str]
    #: Told that the bankroll was read.
    house_read: Callable[[], None] = lambda: None
    pollers: dict[str, Poller] = field(default_factory=dict)
    deliverers: dict[str, Deliverer] = field(default_factory=dict)
    stand_ins: Mapping[str, Account] = field(default_factory=dict)
    kicker: Kicker = field(init=False)
    afresh: Afresh = field(init=False)
    board: Board = field(init=False)
    inhibited: Inhibited = field(init=False)
    feeds: Feeds = field(default_factory=Feeds)
    lookout: Lookout | None = None
    guard: GuardMeans = field(init=False)
    visitors: Visitors = field(init=False)
    enrolment: Enrolment = field(init=False)
    watching: dict[str, Watch] = field(default_factory=dict)
    _running: list[asyncio.Task[None]] = field(default_factory=list)
    _member: Membership = field(init=False)
    #: Set once the configuration has its generation: before that no account may be judged by it.
    _held: asyncio.Event = field(default_factory=asyncio.Event)
    _stopping: bool = False
    _fell_at: dict[str, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.visitors = Visitors(self)
        self._member = Membership(self.store, self.config, self.gauges, self.visitors.watches)
        self.enrolment = Enrolment(self.config, self.store, self.clock, self.visitors.timetables)

    @property
    def accounts(self) -> Mapping[str, Account]:
        """Those of the configuration and those made at run time, as they are at any time."""
        return self.visitors.watches.everyone

    async def prepare(self) -> None:
        """Make the parts, and learn the prices there are. What can go wrong with a configuration goes wrong here."""
        self.feeds = Feeds(self.config.prices)
        made = stand_ins(self.accounts, self.config.rules)
        self.stand_ins = {**idle(self.config), **made, **self.feeds.accounts()}
        rules = {rule.alert: rule for rule in self.config.rules}
        self.afresh = Afresh(self.store, Everyone(self.stand_ins, self.accounts), rules, self.clock)
        channels = tuple(self.config.channels) if "deliver" in self.roles else ()
        self.board = Board(self.store, self.clock, self.config.silences, channels, self._ring_deliverers)
        self.inhibited = Inhibited(self.store, self.clock, self.config.inhibitions)
        self.guard = GuardMeans.of(self.config, self.store, self.wake, self.clock, self.house_read)
        self.kicker = Kicker(self.store, lambda: self.wake(STORE_PROVIDER))
        self.visitors.call_the_roll()
        with suppress(StoreUnavailable):
            # Before the first poll is judged.
            await self.feeds.refresh(self.store)
            await self.guard.switchboard.refresh()
            await self.visitors.watches.refresh()
        if "deliver" in self.roles:
            self.deliverers = {name: self._deliverer(name) for name in self.config.channels}
        if "poll" in self.roles:
            self.pollers = {name: self._poller(name, accounts) for name, accounts in self.visitors.rosters.items()}

    def start(self) -> None:
        """Enrol what is configured; poll and deliver it."""
        self._running = [asyncio.create_task(self._keep(name, part)) for name, part in self._named()]
        self._running.append(asyncio.create_task(self._begin()))

    async def _begin(self) -> None:
        """Enrol, however long the store is away: a reload must not end for that, nor stop the polls there are."""
        while not self._stopping:
            try:
                if "poll" in self.roles:
                    await self._member.hold()
                    self._member.news()
                    await self.visitors.watches.refresh()
                self._held.set()
                await self._catch_up()
                return
            except StoreUnavailable as error:
                log.warning("accounts.not_enrolled", why=str(error))
            except Exception:
                # Bulkhead: accounts without a due time would never be polled, and nothing would say so.
                log.exception("accounts.bug")
            await asyncio.sleep(AGAIN.total_seconds())

    async def enrol(self) -> None:
        """Give every account that has none a due time; for the start, and for a store that was emptied."""
        if "poll" not in self.roles:
            return
        # First of all: nobody may take an account for nobody's.
        await self._member.hold()
        for name, poller in self.pollers.items():
            await self.enrolment.enrol(name, poller.accounts)
            poller.wake()
        await turn_out(self)

    def hire(self, provider: str) -> None:
        """See that this provider has a poller, also while the others are running."""
        begun = self._running or self._held.is_set()
        if provider in self.pollers or "poll" not in self.roles or not begun or self._stopping:
            return
        poller = self._poller(provider, self.visitors.rosters.setdefault(provider, {}))
        # Another mapping: somebody may be in the middle of this one, and waiting for the store.
        self.pollers = {**self.pollers, provider: poller}
        self._running.append(asyncio.create_task(self._keep(f"provider {provider}", poller)))

    @property
    def at_work(self) -> bool:
        """Whether accounts are polled here, and by now."""
        return self._held.is_set() and "poll" in self.roles and not self._stopping

    async def may_close(self) -> bool:
        """Whether what we do not know is known nowhere."""
        return self.at_work and await self._member.may_close()

    async def hold(self) -> None:
        """Say to the other processes what we run; where that changes how we stand, catch up."""
        if self._held.is_set() and "poll" in self.roles:
            await self._member.hold()
            if self._member.news():
                self._running.append(asyncio.create_task(self._begin()))

    async def _catch_up(self) -> None:
        """Bring the store in line with the configuration: due times, and alerts that nothing judges any more."""
        await self.enrol()
        waiting = await self.store.open_accounts() if "poll" in self.roles else []
        while waiting and self._member.standing.newest and not self._stopping:
            waiting = await sweep(self.store, waiting, self._who_polls)
            self._ring_deliverers()
            if waiting:
                await asyncio.sleep(AGAIN.total_seconds())

    def _who_polls(self, name: str) -> tuple[Polling, Account] | None:
        found = (poller for poller in self.pollers.values() if name in poller.accounts)
        return next(((poller.polling, poller.accounts[name]) for poller in found), None)

    async def probe(self) -> None:
        """Try channels at once that were left alone because they refused us: a person may have mended them."""
        try:
            for name in self.deliverers:
                await self.store.try_now(name)
        except StoreUnavailable as error:
            log.warning("channels.not_probed", why=str(error))

    async def stop(self) -> None:
        """Claim nothing more and finish what is in flight."""
        self._stopping = True
        for part in self._parts():
            part.stop()
        self._held.set()
        if "poll" in self.roles:
            await self._member.leave()
        if self._running:
            await asyncio.wait(self._running)

    def dissolve(self) -> None:
        """Let go of the parts, once they have stopped for good. They know their crew, and what holds itself is found
        only by the collector, which looks seldom."""
        self.pollers, self.deliverers, self._running, self.watching = {}, {}, [], {}
        del self.kicker, self.visitors, self._member

    async def flush(self) -> None:
        """Tell what is due until nothing is, and note what the last polls showed. For the way out."""
        for poller in self.pollers.values():
            await poller.note()
        # All at once: what a slow channel takes must not be the time of the others.
        await asyncio.gather(*(deliverer.exhaust() for deliverer in self.deliverers.values()))

    async def abandon(self) -> None:
        """Cut short what is still in flight; whoever comes next does it again."""
        await asyncio.gather(*(part.abandon() for part in self._parts()))

    def wake(self, provider: str) -> None:
        """An account of this provider was made due."""
        if poller := self.pollers.get(provider):
            poller.wake()

    def ailing(self) -> list[str]:
        """The parts that have just ended by a bug and may do so again: `provider casino`, `channel ops`."""
        now = self.clock()
        return [name for name, fell_at in self._fell_at.items() if now - fell_at < MENDED_AFTER]

    async def _keep(self, name: str, part: Part) -> None:
        """Run a part until it was told to stop, and has."""
        while True:
            try:
                if isinstance(part, Poller):
                    await self._held.wait()
                return await part.run()
            except Exception:
                # Bulkhead: a bug in one part must not silence its provider or its channel for good.
                log.exception("part.bug", part=name)
                self._fell_at[name] = self.clock()
                await asyncio.sleep(AGAIN.total_seconds())

    def _parts(self) -> list[Part]:
        return [part for _, part in self._named()]

    def _named(self) -> list[tuple[str, Part]]:
        pollers: list[tuple[str, Part]] = [(f"provider {name}", part) for name, part in self.pollers.items()]
        sums: list[tuple[str, Part]] = [("sums", self.kicker)] if self.pollers else []
        return pollers + sums + [(f"channel {name}", part) for name, part in self.deliverers.items()]

    def _poller(self, provider: str, accounts: dict[str, Account]) -> Poller:
        config, lookout = self.config, self.lookout
        spec = config.providers.get(provider)
        ledgers = spec is not None and spec.tells_events()
        watch = Watch(policy(config, self.feeds.book), config.rules, self.enrolment.next_due, ledgers=ledgers)
        self.watching[provider] = watch
        how = means(config, provider, self.store, watch, self.clock, self.session, self._member.standing, self.feeds)

        def observe(account: Account, claim: Claim, polled: Polled) -> None:
            self.gauges.polled(account, claim, polled)
            self.guard.observe(account, claim, polled)
            if lookout:
                lookout.heard(account, polled.reading)
            if polled.result == "written" and (polled.commit.points or polled.commit.events):
                self.kicker.ring(watch.sums_over(account))

        return Poller(
            polling=how.polling,
            accounts=accounts,
            concurrency=how.concurrency,
            windows=how.windows,
            cost=how.cost,
            observe=observe,
            moved=self._ring_deliverers,
            follow=self.clock.follow,
            see_off=self._member.see_off,
            claimed=self.gauges.claimed,
            lane=self.guard.lane(provider),
            blame=partial(lookout.blame, provider) if lookout else theirs,
        )

    def _ring_deliverers(self) -> None:
        for deliverer in self.deliverers.values():
            deliverer.bell.set()

    def _deliverer(self, name: str) -> Deliverer:
        settings = self.config.channels[name]
        limit = settings.rate()
        rate = None if limit is None else (limit.requests, limit.per)
        quiet = suppressor(self.config, self.board, self.inhibited)
        where = destination(name, settings, self.chat_session, self.gauges.attempted, self.afresh, quiet)
        return Deliverer(where, self.store, self.clock, rate, self.gauges.claimed)
