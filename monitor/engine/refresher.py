"""Accounts read anew because a bet waits for it, or because one soon may.

A refresh is a poll: the account is due now and first in line, and whoever claims it, here or elsewhere, polls it. So
there is never more than one call to the provider for an account.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from monitor.engine.guardports import Behind, Refreshed
from monitor.engine.lane import Lane
from monitor.engine.laneports import RefreshStore, Wished
from monitor.engine.poll import Polled
from monitor.engine.ports import Claim, Clock
from monitor.engine.refused import REFUSED_PAUSE
from monitor.errors import StoreUnavailable
from monitor.model.record import Account, Answer, Health
from monitor.model.snapshot import Outage

log = structlog.get_logger("monitor.refresher")

#: An account that nobody waits for is read anew at most so often.
FOLD = timedelta(seconds=1)
#: How old may be what is known of a provider's health.
HEALTH_FOR = timedelta(seconds=1)
#: A provider that fails is tried for whoever waits once in so long: it may be well again.
TRY_AGAIN = timedelta(seconds=5)
#: Background refreshes that are being asked for at once; the schedule reads the others.
SOON_MAX = 100
#: Accounts of which it is remembered when they were last read anew, or failed to be.
NOTED_MAX = 10_000
#: How often the store is looked at for what another process polled.
_LOOK_FIRST, _LOOK_LAST = 0.005, 0.05


class _Asked(NamedTuple):
    wished: Wished
    at: datetime


@dataclass(eq=False, slots=True)
class _Waiter:
    """Waits for a reading that began at `since` or later, or for a failure after `asked_at`."""

    since: datetime
    asked_at: datetime
    outcome: asyncio.Future[Refreshed]

    def hear(self, outcome: Refreshed) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)


@dataclass(slots=True)
class Refresher:
    """Implements Refreshing. `lanes` are those of all providers of the configuration, polled here or elsewhere; `wake`
    makes this process look for what is due."""

    store: RefreshStore
    lanes: Mapping[str, Lane]
    wake: Callable[[str], None]
    clock: Clock
    _waiting: dict[str, list[_Waiter]] = field(default_factory=dict)
    _queued: dict[tuple[str, bool], asyncio.Task[_Asked]] = field(default_factory=dict)
    _asking: dict[tuple[str, bool], asyncio.Task[_Asked]] = field(default_factory=dict)
    _health: dict[str, tuple[datetime, Health]] = field(default_factory=dict)
    _tried: dict[str, datetime] = field(default_factory=dict)
    _folded: dict[str, datetime] = field(default_factory=dict)
    _failed: dict[str, datetime] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def soon(self, account: Account, tell: Callable[[Behind], None]) -> None:
        """In the background, while plenty of the lane is left; nobody waits, and nothing is raised."""
        lane, now = self.lanes.get(account.provider), self.clock()
        if lane is None or len(self._tasks) >= SOON_MAX or _within(FOLD, self._folded.get(account.name), now):
            return
        _note(self._folded, account.name, now)
        self._keep(self._soon(account, lane, tell))

    async def now(self, account: Account, within: timedelta, since: datetime | None = None) -> Refreshed:
        """First in line; waits for a reading that began after this call was made, no longer than this.

        With `since` for one that began then or later: a poll under way will do. Raises StoreUnavailable.
        """
        lane = self.lanes.get(account.provider)
        if lane is None:
            return "failing"
        try:
            async with asyncio.timeout(within.total_seconds()):
                if _within(FOLD, self._failed.get(account.name), self.clock()):
                    return "failing"
                if await self._left_alone(account):
                    _note(self._failed, account.name, self.clock())
                    return "failing"
                asked = await asyncio.shield(self._ask(account, lane, join=since is not None))
                if asked.wished == "none":
                    return "spent"
                outcome = await self._outcome(account, since or asked.at, asked.at)
        except TimeoutError:
            return "late"
        if outcome == "failing":
            _note(self._failed, account.name, self.clock())
        return outcome

    def observe(self, account: Account, claim: Claim, polled: Polled) -> None:
        """A poll of this process has ended."""
        if polled.result not in ("written", "already"):
            return
        for waiter in self._waiting.get(account.name, ()):
            if isinstance(polled.reading, Answer) and claim.claimed_at >= waiter.since:
                waiter.hear("read")
            elif isinstance(polled.reading, Outage) and claim.claimed_at >= min(waiter.since, waiter.asked_at):
                waiter.hear("failing")

    async def _left_alone(self, account: Account) -> bool:
        """Whether this provider is not to be asked for this account: it refuses us, or fails and was just tried.

        Not where the account itself was read when last tried: one wallet that its provider chokes on is no reason to
        leave the others alone, and where all fail, the schedule has noticed before their balances are stale.
        """
        now, provider = self.clock(), account.provider
        known = self._health.get(provider)
        if known is None or not _within(HEALTH_FOR, known[0], now):
            known = self._health[provider] = now, await self.store.health(provider)
        health = known[1]
        refused = _lasts(health.refused_at, health) and _within(REFUSED_PAUSE, health.refused_at, now)
        if not refused and not _lasts(health.failing_since, health):
            return False
        [record] = await self.store.load_many([account.name])
        if record.outage is None:
            return False
        if refused or _within(TRY_AGAIN, self._tried.get(provider), now):
            return True
        self._tried[provider] = now
        return False

    def _ask(self, account: Account, lane: Lane, *, join: bool) -> asyncio.Task[_Asked]:
        """Ask the store for a poll, once for all who want it; who comes while that is on its way shares the next."""
        key = account.name, join
        if key not in self._queued:
            before = self._asking.get(key)
            self._queued[key] = asyncio.create_task(self._ask_after(before, key, account, lane))
            self._queued[key].add_done_callback(_retrieve)
        return self._queued[key]

    async def _ask_after(
        self, before: asyncio.Task[_Asked] | None, key: tuple[str, bool], account: Account, lane: Lane
    ) -> _Asked:
        if before is not None:
            await asyncio.wait((before,))
        self._asking[key] = self._queued.pop(key)
        try:
            return await self._wish(account, lane, join=key[1])
        finally:
            del self._asking[key]

    async def _wish(self, account: Account, lane: Lane, *, join: bool) -> _Asked:
        asked = _Asked(*await lane.wish(account.name, join=join))
        if asked.wished == "new":
            self.wake(account.provider)
        return asked

    async def _outcome(self, account: Account, since: datetime, asked_at: datetime) -> Refreshed:
        waiter = _Waiter(since, asked_at, asyncio.get_running_loop().create_future())
        others = self._waiting.setdefault(account.name, [])
        others.append(waiter)
        if len(others) == 1:
            self._keep(self._look(account.name, others))
        try:
            return await waiter.outcome
        finally:
            others.remove(waiter)
            if not others:
                del self._waiting[account.name]

    async def _look(self, name: str, waiters: list[_Waiter]) -> None:
        """Look for what another process polls, while anybody waits for it."""
        pause = _LOOK_FIRST
        while waiters:
            try:
                (seen, _), [record] = await asyncio.gather(self.store.seen_at(name), self.store.load_many([name]))
            except StoreUnavailable as error:
                for waiter in waiters:
                    if not waiter.outcome.done():
                        waiter.outcome.set_exception(error)
                return
            for waiter in waiters:
                if seen is not None and seen >= waiter.since:
                    waiter.hear("read")
                elif record.outage is not None and record.outage.at >= waiter.asked_at:
                    waiter.hear("failing")
            await asyncio.sleep(pause)
            pause = min(1.5 * pause, _LOOK_LAST)

    async def _soon(self, account: Account, lane: Lane, tell: Callable[[Behind], None]) -> None:
        try:
            tell("failing" if await self._left_alone(account) else await self._wish_softly(account, lane))
        except StoreUnavailable as error:
            log.debug("refresh.put_off", account=account.name, why=str(error))

    async def _wish_softly(self, account: Account, lane: Lane) -> Behind:
        provider, name = account.provider, account.name
        wished, _ = await self.store.poll_first(provider, name, join=True, paid=False)
        if wished == "none":
            if not await lane.take(soft=True):
                return "spent"
            await self.store.poll_now(provider, name)
            self.wake(provider)
        return "asked"

    def _keep(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _note(times: dict[str, datetime], name: str, now: datetime) -> None:
    if len(times) >= NOTED_MAX:
        times.clear()
    times[name] = now


def _within(span: timedelta, since: datetime | None, now: datetime) -> bool:
    """Whether that was less than `span` ago; not so of a time to come, for then a clock was set back."""
    return since is not None and timedelta(0) <= now - since < span


def _lasts(since: datetime | None, health: Health) -> bool:
    """Whether no good poll has ended it."""
    return since is not None and (health.good_at is None or health.good_at < since)


def _retrieve(task: asyncio.Task[_Asked]) -> None:
    """Whoever asked may have left: then nobody is told why it failed."""
    if not task.cancelled():
        task.exception()
