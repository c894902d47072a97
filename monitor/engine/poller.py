"""Keeps one provider's accounts polled: claims what is due, as much as there is room and quota for."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog

from monitor.engine.lane import WAITED, Lane
from monitor.engine.offline import Blame, theirs
from monitor.engine.poll import Polled, Polling, poll, sleep
from monitor.engine.ports import Claim, Windows, unheard
from monitor.engine.prepaid import Prepaid
from monitor.errors import Outdated, RecordUnreadable, StoreUnavailable
from monitor.model.record import Account, Answer, Health
from monitor.model.snapshot import Outage

log = structlog.get_logger("monitor.poller")

#: So long an account is left to the processes that know it, or that run the newer configuration.
STRANGER_PAUSE = timedelta(seconds=5)
#: A wait for quota longer than this is an outage, so that staleness is judged; a shorter one is just a pause.
QUOTA_PATIENCE = timedelta(seconds=5)
#: Between two claims: under load each then takes several accounts for about the price of one.
BREATH = timedelta(milliseconds=1)
#: Polls begun in one go. What begins together tends to stay together: 800 at once held up the loop for 100 ms.
CLAIMS_MAX = 50
#: How long to leave a store alone that does not answer.
STORE_PAUSE = timedelta(seconds=1)
#: The longest sleep between two looks at the store: another process may have made something due.
LOOK_AGAIN = timedelta(seconds=1)

NEVER = datetime.max.replace(tzinfo=UTC)
LONG_AGO = datetime.min.replace(tzinfo=UTC)


async def pass_on(polling: Polling, claim: Claim) -> None:
    """Another process may know it, or a reload is under way."""
    await polling.store.pass_on(polling.provider, claim, STRANGER_PAUSE, polling.standing.name)


@dataclass(slots=True)
class Poller:
    """One provider's polls in this process: at most `concurrency` at once, none of them waits for another.

    `observe` hears of every poll, `moved` when one owed news, `follow` what time it is at the store, `claimed`
    how long the store took to say what is due. `blame` says whose doing it is that the provider does not answer.
    `lane` counts what is spent for those that wait.
    """

    polling: Polling
    accounts: Mapping[str, Account]
    concurrency: int
    windows: Windows
    cost: int
    observe: Callable[[Account, Claim, Polled], None]
    moved: Callable[[], None]
    follow: Callable[[datetime], None]
    claimed: Callable[[timedelta], None] = unheard
    see_off: Callable[[Polling, Claim], Awaitable[None]] = pass_on
    blame: Callable[[], Blame] = theirs
    lane: Lane | None = None
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: bool = False
    _good_at: datetime | None = None
    _failing_since: datetime | None = None
    _refused_at: datetime | None = None
    _why: str = ""
    _look_at: datetime = NEVER
    _not_before: datetime = LONG_AGO
    _unpaused_until: datetime = LONG_AGO
    _starved_until: datetime = LONG_AGO
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _places: asyncio.Semaphore = field(init=False)
    _resting: int = 0
    #: How many may jump the queue before one is polled for which it was time.
    _jumps: int = WAITED
    _waiting: bool = False

    def __post_init__(self) -> None:
        self._places = asyncio.Semaphore(self.concurrency)

    async def run(self) -> None:
        """Poll until `stop`, then finish what is in flight."""
        while not self.stopping:
            # Whoever wakes us while we claim must not be forgotten.
            self._look_at = NEVER
            wait = await self._claim()
            now = self.polling.now()
            self._not_before = now + BREATH
            self._look_at = max(self._not_before, min(self._look_at, now + wait))
            await self._rest()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def stop(self) -> None:
        """Claim nothing more; `run` returns when the last poll has been committed."""
        self.stopping = True
        self.bell.set()

    async def abandon(self) -> None:
        """Cut short what is in flight, for lack of time: nothing is committed, and its leases end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def wake(self, at: datetime | None = None) -> None:
        """Something of this provider is due then, or now: look at the store no later."""
        at = max(at or self.polling.now(), self._not_before)
        if at < self._look_at:
            self._look_at = at
            self.bell.set()

    async def _claim(self) -> timedelta:
        """Start what is due; returns how long nothing more can be done unless somebody wakes us."""
        room, now = min(CLAIMS_MAX, self._room()), self.polling.now()
        if room <= 0 or now < self._starved_until:
            return min(LOOK_AGAIN, self._starved_until - now) if room > 0 else LOOK_AGAIN
        store, provider = self.polling.store, self.polling.provider
        try:
            claims = await store.claim(provider, room, self.polling.lease, self.polling.standing, self._jumps)
            self.claimed(self.polling.now() - now)
            self.follow(claims.now)
            self._waiting = claims.waiting
            starved = await self._start(claims.claims)
        except StoreUnavailable as error:
            log.debug("claim.put_off", provider=provider, why=str(error))
            return STORE_PAUSE
        if starved:
            self._starved_until = now + starved
            return starved
        if len(claims.claims) == room:
            return timedelta(0) if self._room() > 0 else LOOK_AGAIN
        return LOOK_AGAIN if claims.next_at is None else min(LOOK_AGAIN, claims.next_at - claims.now)

    async def _start(self, claims: Sequence[Claim]) -> timedelta:
        """Poll what the quota pays for, and give the rest back; returns how long to wait for more of it."""
        # Paid for once we know how many there are: quota held in advance, even for a moment, would look spent to
        # polls under way and to other processes, and become their outages.
        known = sorted((claim for claim in claims if claim.account in self.accounts), key=_later)
        paid, wait = await self._take(len(known)) if known else (0, timedelta(0))
        starved = wait if not paid and wait > QUOTA_PATIENCE else None
        begun = known[:paid] if starved is None else known
        for claim in (*begun, *(claim for claim in claims if claim.account not in self.accounts)):
            self._count(claim)
            task = asyncio.create_task(self._poll(claim, starved))
            self._tasks.add(task)
            task.add_done_callback(self._done)
        rest = known[len(begun) :]
        if rest:
            await self.polling.store.release(self.polling.provider, rest)
        return wait if rest and not paid else timedelta(0)

    def _count(self, claim: Claim) -> None:
        """Where there is no quota to share, places are what is shared."""
        most = WAITED * self.concurrency
        self._jumps = max(0, self._jumps - 1) if claim.ahead else min(most, self._jumps + WAITED)

    async def _take(self, count: int) -> tuple[int, timedelta]:
        """How many polls the quota pays for; without one only a pause stops us, and that is asked for seldom."""
        now = self.polling.now()
        if not self.windows and now < self._unpaused_until:
            return count, timedelta(0)
        taken, wait = await self.polling.store.take(self.polling.provider, self.windows, self.cost, count)
        if taken:
            self._unpaused_until = now + LOOK_AGAIN
        return taken, wait

    async def _poll(self, claim: Claim, starved: timedelta | None) -> None:
        account = self.accounts.get(claim.account)
        try:
            if account is None:
                await self.see_off(self.polling, claim)
                self.moved()
                return
            lane = self.lane if claim.ahead else None
            budget = Prepaid(self.polling.store, self.polling.provider, self.windows, self.cost, starved, lane)
            try:
                async with self._places:
                    polled = await poll(self.polling, account, claim, budget, self._between)
            except Outdated as newer:
                await self._leave_to(newer, claim, budget)
                return
            # It may be this one that somebody waits for anew.
            self.wake(None if self._waiting else polled.next_at)
            self._learn(polled)
            self.observe(account, claim, polled)
            if polled.commit.rows:
                self.moved()
            if budget.paid and starved is None and self.windows:
                # It needed less than an ordinary poll.
                await self.polling.store.give_back(self.polling.provider, self.windows, budget.paid)
            await self._slow_down(polled, starved)
        except StoreUnavailable as error:
            log.warning("poll.not_committed", account=claim.account, why=str(error))
        except RecordUnreadable as error:
            # Its lease ends by itself; said each time, for nothing else tells that this account is blind.
            log.error("record.unreadable", account=claim.account, why=str(error))
        except Exception:
            # Bulkhead: a bug in one poll must not stop the others; its lease ends and it is polled again.
            log.exception("poll.bug", account=claim.account)

    async def _leave_to(self, newer: Outdated, claim: Claim, budget: Prepaid) -> None:
        """Give an account back to the processes that run the newer configuration."""
        self.polling.standing.meet(newer.generation)
        await pass_on(self.polling, claim)
        if budget.paid and self.windows:
            await self.polling.store.give_back(self.polling.provider, self.windows, budget.paid)

    async def _slow_down(self, polled: Polled, starved: timedelta | None) -> None:
        """A 429 pauses everything under the same quota, in every process."""
        reading = polled.reading
        if isinstance(reading, Outage) and reading.kind == "throttled" and starved is None:
            self._unpaused_until = polled.read_at
            await self.polling.store.throttle(self.polling.provider, reading.wait or STORE_PAUSE)

    def _learn(self, polled: Polled) -> None:
        """Fold a poll into the next health note."""
        at = polled.read_at
        match polled.reading:
            case Outage(asked_at=datetime()):
                # Nobody was asked.
                pass
            case Answer():
                # What failed before it is over; what fails after it begins anew.
                self._good_at, self._failing_since = at, None
            case Outage(scope="account"):
                # The provider answered: what it does not know is this one account.
                pass
            case Outage(scope=scope, why=why):
                self._failing_since, self._why = self._failing_since or at, why
                self._refused_at = at if scope == "credentials" else self._refused_at

    async def note(self) -> None:
        """Tell the store how the provider is doing: what was learned since the last note, once.

        That nobody answers is told when it is certain that this is not our doing.
        """
        blame = self.blame() if self._failing_since else "theirs"
        if blame == "ours":
            self._failing_since = None
        learned = self._good_at, self._failing_since if blame == "theirs" else None, self._refused_at
        if not any(learned):
            return
        good, failing, refused = learned
        noted = max(at for at in learned if at)
        await self.polling.store.note(self.polling.provider, Health(noted, noted, good, failing, refused, self._why))
        # Only now that it is told, and not what was learned meanwhile.
        self._good_at = None if self._good_at is good else self._good_at
        self._failing_since = None if self._failing_since is failing else self._failing_since
        self._refused_at = None if self._refused_at is refused else self._refused_at

    def _room(self) -> int:
        """How many more polls may begin; those that wait to go on come first."""
        return self.concurrency - len(self._tasks) + self._resting

    async def _between(self, pause: timedelta) -> None:
        """Let a poll wait for its second reading in nobody's way: a whole provider may say zero at once."""
        self._places.release()
        self._resting += 1
        self.wake()
        try:
            await sleep(pause)
        finally:
            self._resting -= 1
            await self._places.acquire()

    def _done(self, task: asyncio.Task[None]) -> None:
        full = self._room() <= 0
        self._tasks.discard(task)
        if full:
            self.wake()

    async def _rest(self) -> None:
        """Sleep until it is time to look again; whoever wakes us moves that time."""
        while not self.stopping:
            wait = (self._look_at - self.polling.now()).total_seconds()
            if wait <= 0:
                return
            self.bell.clear()
            try:
                async with asyncio.timeout(wait):
                    await self.bell.wait()
            except TimeoutError:
                return


def _later(claim: Claim) -> bool:
    """Whether others go first: what somebody waits for is paid for before the rest."""
    return not claim.ahead
