"""Working stand-ins for the outside, a few lines each."""

import asyncio
import functools
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import fakeredis
import redis

from monitor.errors import DeliveryError, Fault
from monitor.model.group import NEWS_READ_MAX, Group, Item, Message, Receipt, Told
from monitor.model.ledger import Tried
from monitor.model.record import Row
from monitor.model.target import Target
from monitor.model.window import micros
from monitor.ruletest.inbox import fresh_group
from monitor.store.line import Line
from monitor.store.redis import RedisStore
from monitor.store.wire import Command
from tests.builders import NOON


class FakeClock:
    """Time that moves when the test says so."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, time: timedelta) -> None:
        self.now += time


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that does not wait: when nothing can run, its time jumps to the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self._virtual = 0.0
        poll = self._selector.select

        def select(timeout: float | None = None) -> object:
            assert timeout is not None, "everybody waits, and no timer will wake anybody"
            self._virtual += timeout
            return poll(0)

        self._selector.select = select

    def time(self) -> float:
        return self._virtual


def virtual_time(test: Callable[..., Coroutine[object, object, None]]) -> Callable[..., None]:
    """Run an asynchronous test on a loop of virtual time; it takes no real time to sleep for hours."""

    @functools.wraps(test)
    def run(*args: object, **kwargs: object) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


def loop_clock() -> datetime:
    """Noon, and as long after it as the loop has been running."""
    return NOON + timedelta(seconds=asyncio.get_running_loop().time())


class FakeLine(Line):
    """The store's line into a fakeredis server within this process: one call after the other."""

    def __init__(self, server: fakeredis.FakeServer) -> None:
        super().__init__()
        self._redis = fakeredis.FakeAsyncRedis(server=server, protocol=2)
        self._redis.response_callbacks.clear()
        self._waiting: list[tuple[Command, asyncio.Future[object]]] = []
        self._running: asyncio.Task[None] | None = None

    def _enqueue(self, command: Command) -> asyncio.Future[object]:
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        self._waiting.append((command, answer))
        if self._running is None:
            self._running = loop.create_task(self._run())
        return answer

    async def _run(self) -> None:
        while self._waiting:
            command, answer = self._waiting.pop(0)
            try:
                said, error = await self._redis.execute_command(*command), None
            except (redis.RedisError, UnicodeEncodeError) as failure:
                error = failure
            # A caller that was cancelled no longer listens.
            if not answer.done():
                answer.set_result(said) if error is None else answer.set_exception(error)
        self._running = None

    async def asking(self, command: Command) -> object:
        raise AssertionError("it is no cluster")

    async def drain(self) -> None:
        if self._running is not None:
            await asyncio.wait([self._running])

    async def close(self) -> None:
        await self.drain()
        await self._redis.aclose()


class RecordingChannel:
    """Takes every message, or answers what the test wants it to answer."""

    def __init__(self, answers: Iterable[DeliveryError | Exception | None] = (), ref: str = "") -> None:
        self.ref = ref
        self.arrived: list[Message] = []
        self.tried: list[Message] = []
        self.answers = list(answers)

    async def send(self, message: Message, now: datetime) -> Receipt:
        self.tried.append(message)
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        self.arrived.append(message)
        return Receipt("ok", self.ref)


@dataclass(slots=True)
class _Held:
    """A group as the fake keeps it: what `Group` shows, plus the lease."""

    group: Group
    news: list[Item] = field(default_factory=list)
    telling: list[Item] = field(default_factory=list)
    live: set[str] = field(default_factory=set)
    due_at: datetime | None = None
    leased_until: datetime | None = None
    flushed_at: datetime | None = None


#: How often a channel is tried that refuses us.
PROBE_EVERY = timedelta(minutes=10)


class FakeDeliveryStore:
    """The delivering half of the store in memory, with the promises of `deliverports.DeliveryStore`; but groups go in
    the order in which they came to be, and no channel fails as a whole."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._token = 0
        self._keys = 0
        self.groups: dict[tuple[str, str], _Held] = {}
        self.dead: list[tuple[Message, str]] = []
        self.paused: dict[str, datetime] = {}

    def owe(self, *rows: Row) -> None:
        """Give rows to the groups of their targets, as `apply` does after a commit."""
        for row in rows:
            self._keys += 1
            for target in row.targets:
                self._apply(target, Item(f"{self._keys}-0", row.news, row.entry, target.not_before))

    def _apply(self, target: Target, item: Item) -> None:
        now = self._clock()
        held = self.groups.setdefault((target.channel, target.group), _Held(fresh_group(target, now)))
        quiet = not (held.news or held.telling or held.group.open)
        if item.news == "resolved":
            held.live.discard(item.entry.fingerprint)
        elif item.news not in ("event", "acked"):
            held.live.add(item.entry.fingerprint)
        held.news.append(item)
        self._touch(held)
        due_at = now + target.wait if quiet else self._next_flush(held)
        if held.leased_until is None and not held.group.failed:
            held.due_at = min(held.due_at or due_at, due_at)

    def _next_flush(self, held: _Held) -> datetime:
        now = self._clock()
        if not held.live or held.flushed_at is None:
            return now
        return max(now, held.flushed_at + held.group.interval)

    def _touch(self, held: _Held, **changes: object) -> None:
        held.group = replace(held.group, version=held.group.version + 1, **changes)

    async def sweep(self, limit: int) -> int:
        return 0

    async def claim_groups(
        self, channel: str, limit: int, lease: timedelta, rate: object = None, together: int = 0
    ) -> tuple[Group, ...]:
        now = self._clock()
        if self.paused.get(channel, now) > now:
            return ()
        claimed = []
        for (name, _), held in self.groups.items():
            due_at = held.leased_until or held.due_at
            if name == channel and due_at is not None and due_at <= now and len(claimed) < limit:
                self._token += 1
                held.leased_until, held.due_at = now + lease, None
                held.group = replace(held.group, token=self._token, due_at=due_at)
                claimed.append(self._seen(held))
        return tuple(claimed)

    def groups_due(self, channel: str) -> datetime | None:
        times = [held.leased_until or held.due_at for (name, _), held in self.groups.items() if name == channel]
        return min((at for at in times if at is not None), default=None)

    def _seen(self, held: _Held) -> Group:
        return replace(held.group, news=tuple(held.news[:NEWS_READ_MAX]), waiting=len(held.news))

    def _mine(self, group: Group) -> _Held | None:
        held = self.groups[group.channel, group.id]
        return held if held.leased_until is not None and held.group.token == group.token else None

    async def freeze(self, group: Group, message: Message) -> Group | None:
        if (held := self._mine(group)) is None:
            return None
        items = [*held.telling, *held.news]
        held.telling = [item for item in items if item.key in message.keys]
        held.news = [item for item in items if item.key not in message.keys]
        if message.alerts:
            held.flushed_at = self._clock()
        self._touch(held, telling=message, failed=False)
        return self._seen(held)

    async def settle(
        self, group: Group, told: Mapping[str, Told | None], due_at: datetime | None, tried: Tried | None = None
    ) -> bool:
        if (held := self._mine(group)) is None:
            return False
        self._close(held, told)
        self._plan(held, due_at, news=bool(held.news))
        return True

    def _close(self, held: _Held, told: Mapping[str, Told | None]) -> None:
        known = {**held.group.open, **told}
        kept = {fingerprint: one for fingerprint, one in known.items() if one is not None}
        held.telling = []
        self._touch(held, open=kept, telling=None, failed=False, attempts=0, failing_since=None, why="")

    def _plan(self, held: _Held, due_at: datetime | None, *, news: bool) -> None:
        held.leased_until = None
        if news:
            due_at = min(due_at or self._next_flush(held), self._next_flush(held))
        held.due_at = due_at

    async def postpone(self, group: Group, due_at: datetime, tried: Tried, wait: timedelta | None = None) -> bool:
        if (held := self._mine(group)) is None:
            return False
        held.news, held.telling = [*held.telling, *held.news], []
        since = held.group.failing_since or self._clock()
        self._touch(held, failed=True, attempts=held.group.attempts + 1, failing_since=since, why=tried.said)
        self._plan(held, due_at, news=False)
        if wait is not None:
            self.paused[group.channel] = self._clock() + wait
        return True

    async def bury(
        self,
        group: Group,
        message: Message,
        tried: Tried,
        told: Mapping[str, Told | None],
        due_at: datetime | None,
        fault: Fault | None = None,
    ) -> bool:
        if not await self.settle(group, told, due_at):
            return False
        self.dead.append((message, tried.said))
        if fault == "channel":
            self.paused[group.channel] = self._clock() + PROBE_EVERY
        return True

    async def defer(self, group: Group, due_at: datetime | None) -> bool:
        if (held := self._mine(group)) is None:
            return False
        moved = held.group.version != group.version
        if held.group.telling is not None:
            self._touch(held, telling=None, failed=False, attempts=0, failing_since=None, why="")
        self._plan(held, due_at, news=moved)
        return True

    async def put_off(self, group: Group, due_at: datetime) -> bool:
        if (held := self._mine(group)) is None:
            return False
        self._plan(held, due_at, news=False)
        return True

    async def read_on(self, group: Group) -> Group:
        held = self.groups[group.channel, group.id]
        return replace(group, news=tuple(held.news[: 2 * len(group.news)]))

    async def keep_hushed(self, group: Group) -> bool:
        if (held := self._mine(group)) is None:
            return False
        held.group = replace(held.group, hushed=group.hushed)
        return True

    async def try_now(self, channel: str) -> None:
        self.paused.pop(channel, None)


async def paused(store: RedisStore, until: datetime, channel: str = "ops") -> None:
    """The channel's destination has asked to be left alone until then."""
    await store._calls.command("HSET", f"{{bm:c:{channel}}}:clock", "pause", micros(until), "seen", store._now)


def news_of(messages: Sequence[Message]) -> list[tuple[str, str, int]]:
    """What a channel heard, in order: (alert id, status, sequence)."""
    return [(one.entry.id, one.entry.status, one.sequence) for message in messages for one in message.alerts]
