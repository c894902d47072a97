"""What is sent to a store and how long is waited for it; and listening, on a connection of redis-py."""

import contextlib
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from redis.asyncio.connection import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from monitor.store.sentinel import SentinelPool, sentinel_pool
from monitor.store.url import Address

#: One command: its name, then its arguments.
Command = Sequence[str | bytes | int]

#: How long to wait for a connection, and for an answer: that takes well under a millisecond.
CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 5.0
#: After so long a silence whoever listens asks whether anybody is there.
QUIET_S = 5.0


class Connections:
    """To one server, or to whichever server the sentinels call the primary."""

    def __init__(self, where: Address) -> None:
        options = {
            "retry": Retry(NoBackoff(), 0),
            "socket_timeout": None,
            "socket_connect_timeout": CONNECT_TIMEOUT_S,
            "protocol": 2,
            **where.options(),
        }
        self._pool: Any = sentinel_pool(where, options) if where.service else _server_pool(where, options)

    async def listen(self, channel: str) -> AsyncGenerator[bytes, None]:
        """What is published there, after an empty text once it listens.

        Ends with redis' own exceptions, OSError or TimeoutError when the connection is lost, or the primary is another.
        """
        connection = await self._pool.get_connection()
        try:
            await connection.send_command("SUBSCRIBE", channel, check_health=False)
            quiet = False
            while True:
                answer = await connection.read_response(timeout=QUIET_S, disconnect_on_error=False)
                if answer is None:
                    if quiet or await self._deposed(connection):
                        raise TimeoutError("nothing was heard, not even an answer")
                    await connection.send_command("PING", check_health=False)
                quiet = answer is None
                if answer is not None and answer[0] in (b"subscribe", b"message"):
                    yield answer[2] if answer[0] == b"message" else b""
        finally:
            await connection.disconnect()
            await self._pool.release(connection)

    async def _deposed(self, connection: Any) -> bool:
        """Whether sentinels name another primary by now."""
        if not isinstance(self._pool, SentinelPool):
            return False
        await self._pool.get_master_address()  # type: ignore[no-untyped-call]  # redis-py left it so
        return (connection.host, connection.port) != self._pool.master_address

    async def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(RedisError, OSError):
            await self._pool.aclose()


def _server_pool(where: Address, options: dict[str, Any]) -> ConnectionPool:
    kind = UnixDomainSocketConnection if where.path else SSLConnection if where.tls else Connection
    return ConnectionPool(connection_class=kind, **options)
