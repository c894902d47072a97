"""A cluster: each call goes to the primary that has its keys, and follows it when it has moved.

Only what a node did not run is sent again, elsewhere: MOVED and ASK say so. All else fails, and the topology is looked
up again for the next call. Source: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterDownError,
    MovedError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
)
from redis.exceptions import ConnectionError as Disconnected

from monitor.errors import StoreUnavailable, StoreUnusable
from monitor.store.keys import LAYOUT
from monitor.store.line import Line, fcall, unavailable
from monitor.store.url import Address
from monitor.store.wire import CONNECT_TIMEOUT_S, Command

#: A call follows so many redirections: two nodes may disagree for a moment.
REDIRECTIONS_MAX = 5
#: Looked up at most so often.
LOOK_EVERY_S = 0.2

_KEYLESS = frozenset({"TIME", "PING", "ECHO", "INFO", "CONFIG", "FUNCTION", "PUBLISH", "FLUSHALL", "DBSIZE"})


class Topology:
    """Which primary has which slot, as redis-py finds it; shared by all who call that cluster."""

    def __init__(self, where: Address) -> None:
        self.where = where
        #: Slot → its primary's host and port.
        self._primaries: dict[int, tuple[str, int]] = {}
        self._known: set[tuple[str, int]] = set(where.hosts)
        self._looking: asyncio.Task[None] | None = None
        #: Hanging up on those who were asked last.
        self._closing: asyncio.Task[None] | None = None
        self._resting = False

    async def primaries(self) -> set[tuple[str, int]]:
        """All of them."""
        await self._learned()
        return self.known()

    def known(self) -> set[tuple[str, int]]:
        """All of them, as far as is known."""
        return set(self._primaries.values())

    async def close(self) -> None:
        """Stop looking."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        if self._closing is not None:
            await self._closing

    async def primary(self, slot: int) -> tuple[str, int]:
        """Who has this slot; StoreUnavailable where nobody is known to."""
        if not self._primaries:
            await self._learned()
        found = self._primaries.get(slot)
        if found is None:
            self.doubt()
            raise StoreUnavailable("no primary of the cluster serves these keys")
        return found

    def moved(self, slot: int, to: tuple[str, int]) -> None:
        """A node has said who has this slot."""
        self._primaries[slot] = to
        self.doubt()

    def doubt(self) -> None:
        """Look again, for the next call."""
        if self._looking is None and not self._resting:
            self._look()

    async def _learned(self) -> None:
        if self._primaries:
            return
        await asyncio.shield(self._looking or self._look())

    def _look(self) -> asyncio.Task[None]:
        loop = asyncio.get_running_loop()
        self._looking = loop.create_task(self._read())
        self._looking.add_done_callback(self._looked)
        self._resting = True
        loop.call_later(LOOK_EVERY_S, self._rested)
        return self._looking

    def _looked(self, task: asyncio.Task[None]) -> None:
        self._looking = None
        if not task.cancelled():
            # Whoever waited has it, all others go by what was known before.
            task.exception()

    def _rested(self) -> None:
        self._resting = False

    async def _read(self) -> None:
        client = RedisCluster(
            startup_nodes=[ClusterNode(host, port) for host, port in sorted(self._known)],
            # The server decides whether it serves a part of the slots.
            require_full_coverage=False,
            retry=Retry(NoBackoff(), 0),
            username=self.where.username,
            password=self.where.password,
            ssl=self.where.tls,
            socket_timeout=CONNECT_TIMEOUT_S,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            protocol=2,
        )
        try:
            await client.initialize()
            slots = client.nodes_manager.slots_cache
            self._primaries = {slot: _where(nodes[0]) for slot, nodes in slots.items()}
            self._known = {_where(node) for node in client.get_nodes()} | set(self.where.hosts)
        except (RedisClusterException, RedisError, OSError) as error:
            raise self._failure(error) from None
        finally:
            # Interrupted, it would leave connections behind.
            self._closing = asyncio.get_running_loop().create_task(client.aclose())
            await asyncio.shield(self._closing)

    def _failure(self, error: Exception) -> Exception:
        # redis-py tells all of it as one kind, with the reason as its cause.
        text = str(error)
        if "Cluster mode is not enabled" in text:
            return StoreUnusable(f"the store at {self.where.place} is no cluster, write redis:// in store.url")
        if isinstance(error.__cause__, AuthenticationError):
            return error.__cause__
        return unavailable(error.__cause__ or error, self.where.place)


class Cluster:
    """Implements Calls: each goes to its keys' primary, with the others that wait for it at that moment."""

    def __init__(self, topology: Topology, connect: Callable[[Address], Line]) -> None:
        self._topology, self._connect = topology, connect
        self._nodes: dict[tuple[str, int], Line] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    async def fcall(self, function: str, keys: Sequence[str], *args: str | bytes | int) -> Any:
        """See Calls. The keys share a slot."""
        return await self.command(*fcall(function, keys, *args))

    async def command(self, *command: str | bytes | int) -> Any:
        """See Calls. One without a key goes where the number of partitions is kept."""
        try:
            return await self._run(key_slot(_key(command)), command)
        except RedisError as error:
            raise unavailable(error) from None

    async def together(self, *commands: Command) -> list[Any]:
        """See Calls."""
        return await asyncio.gather(*(self.command(*command) for command in commands))

    async def everywhere(self, *command: str | bytes | int) -> list[Any]:
        """See Calls."""
        nodes = [self._node(one) for one in sorted(await self._topology.primaries())]
        return [said for (said,) in await asyncio.gather(*(node.run(command) for node in nodes))]

    async def drain(self) -> None:
        """See Calls."""
        await asyncio.gather(*(node.drain() for node in self._nodes.values()), *self._leaving)

    async def close(self) -> None:
        """See Calls."""
        await self._topology.close()
        await asyncio.gather(*(node.close() for node in self._nodes.values()), *self._leaving)

    async def _run(self, slot: int, command: Command) -> Any:
        where = await self._topology.primary(slot)
        for _ in range(REDIRECTIONS_MAX):
            try:
                return (await self._node(where).run(command))[0]
            except MovedError as moved:
                where = (moved.host or where[0], moved.port)
                self._topology.moved(slot, where)
            except AskError as asked:
                return await self._node((asked.host or where[0], asked.port)).asking(command)
            except (ReadOnlyError, ClusterDownError, Disconnected, StoreUnavailable):
                self._topology.doubt()
                raise
        raise StoreUnavailable("the nodes of the cluster do not agree who serves these keys")

    def _node(self, where: tuple[str, int]) -> Line:
        node = self._nodes.get(where)
        if node is None:
            self._leave()
            node = self._nodes[where] = self._connect(self._topology.where.node(*where))
        return node

    def _leave(self) -> None:
        """Hang up on those that are no primaries any more, once they have answered."""
        for gone in set(self._nodes) - self._topology.known():
            task = asyncio.get_running_loop().create_task(self._nodes.pop(gone).close())
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)


def _where(node: ClusterNode) -> tuple[str, int]:
    return node.host, int(node.port)


def _key(command: Command) -> bytes:
    if command[0] == "FCALL":
        key = command[3] if command[2] else LAYOUT
    else:
        key = LAYOUT if command[0] in _KEYLESS else command[1]
    return key if isinstance(key, bytes) else str(key).encode("utf-8", "surrogatepass")
