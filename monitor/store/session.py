"""One connection to the store: opened, checked, and given the functions it must have."""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from redis.exceptions import AuthenticationError, RedisError, ResponseError

from monitor.clock import elapsed
from monitor.errors import StoreUnusable
from monitor.model.window import micros, moment
from monitor.store import keys
from monitor.store.cluster import Cluster, Topology
from monitor.store.functions import source
from monitor.store.life import LIFE, LOST, Witness, primary_life, told
from monitor.store.line import Calls, Line, unavailable
from monitor.store.pipe import Pipe
from monitor.store.url import Address, address
from monitor.store.wire import Command

#: The oldest servers whose functions, stream ids and `ZADD` options we use.
OLDEST = {"redis": (7, 0), "valkey": (8, 0)}


@dataclass(frozen=True, slots=True)
class Keep:
    """How much history is kept: by age, by points per account and asset, by events per account."""

    age: timedelta = timedelta(days=30)
    points: int = 1_000
    events: int = 10_000


class Session:
    """What the parts of the store share: the calls, the partitions and the time.

    `clock_override` replaces the server's clock in tests; None is the server's. Guard calls go through `_guard_calls`,
    whose connections are their own: a caller that waits for a bet does not queue behind commits.
    """

    def __init__(self, calls: Calls, guard: Calls | None = None, *, keep: Keep | None = None, place: str = "") -> None:
        self.clock_override: Callable[[], datetime] | None = None
        self.keep = keep or Keep()
        self.partitions: tuple[keys.Partition, ...] = ()
        self.place = place
        self._calls = calls
        self._guard_calls: Calls = guard or self._calls
        self._offset: int | None = None
        super().__init__()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.place})"

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        partitions: int = keys.PARTITIONS,
        keep: Keep | None = None,
        clock_override: Callable[[], datetime] | None = None,
        life: str = "",
    ) -> Self:
        """Open a store and check it. StoreUnavailable: nobody answers; StoreUnusable: it must not be used.

        `life` is what an embedded server's directory says of it; else the server is asked.
        """
        where = address(url)
        store = cls(*_lines(where, told(life) if life else primary_life), keep=keep, place=where.place)
        store.clock_override = clock_override
        try:
            await store.open(partitions)
        except BaseException:
            await store.close()
            raise
        return store

    async def open(self, partitions: int = keys.PARTITIONS) -> None:
        """Check the server, load our functions, and read how many partitions there are (or say so first)."""
        try:
            await self._check_server()
            await self.load_functions()
        except (RedisError, OSError) as error:
            if _refuses_us(error):
                raise StoreUnusable(
                    f"the store at {self.place} refuses our user or password; correct store.url"
                ) from None
            raise unavailable(error, self.place) from None
        await self._read_layout(partitions)

    async def close(self) -> None:
        """Wait for what is on its way, then hang up."""
        await self._calls.close()
        await self._guard_calls.close()

    async def ping(self) -> None:
        """StoreUnavailable when the store does not answer, or takes no writes (full, read-only, a broken disk)."""
        # A write that changes nothing: it was written when the store was first used.
        await self._calls.command("HSETNX", keys.LAYOUT, "partitions", len(self.partitions))

    async def load_functions(self) -> None:
        """Put our functions onto the server; harmless when they are there."""
        try:
            await self._calls.everywhere("FUNCTION", "LOAD", "REPLACE", source())
        except (RedisError, OSError) as error:
            raise unavailable(error) from None

    async def epochs(self) -> tuple[bytes | None, ...]:
        """When each partition was first used, as it was written then; None: it has lost everything."""
        return tuple(await self._gather([("GET", one.epoch) for one in self.partitions]))

    async def seed_epochs(self) -> None:
        """Mark every partition as used from now on."""
        started = str(micros(await self.time()))
        await self._calls.command("HSETNX", keys.LAYOUT, "partitions", len(self.partitions))
        await self._gather([("SET", one.epoch, started, "NX") for one in self.partitions])

    async def time(self) -> datetime:
        """The store's time."""
        if self.clock_override is not None:
            return self.clock_override()
        seconds, rest = await self._calls.command("TIME")
        return self._follow(int(seconds) * 1_000_000 + int(rest))

    def partition(self, account: str) -> keys.Partition:
        """The keys that an account lives among."""
        return self.partitions[keys.partition_of(account, len(self.partitions))]

    def life(self) -> tuple[str, str]:
        """What a call through `_guard_calls` says of the primary that it reaches: pass it on, never keep it.

        The function sees a text that changes whenever the primary may have lost what it acknowledged; and when it
        may last have lost all of it, and the text with it.
        """
        return LIFE, LOST

    @property
    def _now(self) -> str:
        """What functions are told of the time: nothing, unless a test has set a clock."""
        return "" if self.clock_override is None else str(micros(self.clock_override()))

    def _follow(self, now_us: int) -> datetime:
        """Remember how far the store's clock is from this process's own."""
        self._offset = now_us - int(elapsed() * 1_000_000)
        return moment(now_us)

    def _estimate_us(self) -> int | None:
        """The store's time as far as known without asking; None before the first answer."""
        if self.clock_override is not None:
            return micros(self.clock_override())
        if self._offset is None:
            return None
        return self._offset + int(elapsed() * 1_000_000)

    async def _gather(self, commands: Sequence[Command]) -> list[Any]:
        return await asyncio.gather(*(self._calls.command(*command) for command in commands))

    async def _check_server(self) -> None:
        for info in await self._ask("INFO", "server"):
            _check_version(info, self.place)
        for policy in await self._ask("CONFIG", "GET", "maxmemory-policy"):
            _check_policy(policy, self.place)

    async def _ask(self, *command: str) -> list[Any]:
        """Each server's answer; none where the command does not exist or is not ours to use (managed services)."""
        try:
            return await self._calls.everywhere(*command)
        except ResponseError as error:
            text = str(error).lower()
            if (
                "unknown command" in text
                or "unknown subcommand" in text
                or "noperm" in text
                or "no permissions" in text
            ):
                return []
            raise

    async def _read_layout(self, partitions: int) -> None:
        mine = await self._calls.command("HSETNX", keys.LAYOUT, "partitions", partitions)
        stored = int(await self._calls.command("HGET", keys.LAYOUT, "partitions"))
        if not 0 < stored <= keys.PARTITIONS_MAX:
            raise StoreUnusable(f"the store at {self.place} says it has {stored} partitions: not written by us")
        self.partitions = tuple(keys.partition(number) for number in range(stored))
        if mine:
            await self.seed_epochs()


def _lines(where: Address, witness: Witness) -> tuple[Calls, Calls]:
    """The store's calls, and the guard's on connections of their own."""

    def guard(at: Address) -> Line:
        return Pipe(at, witness)

    if not where.clustered:
        return Pipe(where), guard(where)
    topology = Topology(where)
    return Cluster(topology, Pipe), Cluster(topology, guard)


def _refuses_us(error: Exception) -> bool:
    """Whether a login failed, which redis-py tells as a lost connection too."""
    text = str(error).lower()
    return isinstance(error, AuthenticationError) or "authentication" in text or "username-password" in text


def _check_version(info: bytes, place: str) -> None:
    """Refuse a server too old for our functions."""
    found = dict(re.findall(r"^(valkey|redis)_version:(\d+\.\d+)", info.decode(), re.MULTILINE))
    # Valkey also says which Redis it resembles.
    product = "valkey" if "valkey" in found else "redis"
    text = found.get(product, "")
    if text and tuple(map(int, text.split("."))) < OLDEST[product]:
        raise StoreUnusable(f"the store at {place} is {product} {text}; Redis 7 or Valkey 8 is needed")


def _check_policy(answer: list[bytes], place: str) -> None:
    """Refuse a server that throws data away when its memory is full: what it drops would be alerts."""
    policy = answer[1].decode() if len(answer) > 1 else "noeviction"
    if policy != "noeviction":
        raise StoreUnusable(
            f"the store at {place} evicts data (maxmemory-policy {policy}); "
            "set `maxmemory-policy noeviction` there, or use another server"
        )
