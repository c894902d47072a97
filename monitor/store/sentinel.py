"""Who the primary is, according to its sentinels: asked whenever a connection is made, and every second.

Source: https://redis.io/docs/latest/develop/reference/sentinel-clients/
"""

import asyncio
from contextlib import suppress
from typing import Any

from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from monitor.store.url import Address

#: A sentinel that takes longer is passed over for the next one.
ANSWER_TIMEOUT_S = 1.0
LOOK_EVERY_S = 1.0


class SentinelPool(SentinelConnectionPool):
    """Connections to the primary of the moment. One that answers READONLY is hung up, and the sentinels asked again.

    They are also asked every LOOK_EVERY_S while there is work: a primary that was cut off from them goes on taking
    writes, which are lost when it is back.
    """

    def __init__(self, service: str, sentinel: Sentinel, **options: Any) -> None:
        super().__init__(service, sentinel, **options)  # type: ignore[no-untyped-call]  # redis-py left it so
        self._looking: asyncio.Task[Any] | None = None

    async def get_connection(self, *args: Any, **options: Any) -> Any:
        """A connection to whom the sentinels named last."""
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._look())
        connection = await super().get_connection(*args, **options)  # type: ignore[no-untyped-call]  # likewise
        try:
            if (connection.host, connection.port) != self.master_address:
                await connection.disconnect()
                await connection.connect()
        except BaseException:
            await self.release(connection)
            raise
        return connection

    async def aclose(self) -> None:
        """Hang up on the servers and on the sentinels."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        await super().aclose()
        for sentinel in self.sentinel_manager.sentinels:
            await sentinel.aclose()

    async def _look(self) -> None:
        await asyncio.sleep(LOOK_EVERY_S)
        # Sentinels that do not answer change nothing.
        with suppress(RedisError, OSError):
            await self.get_master_address()  # type: ignore[no-untyped-call]  # redis-py left it so
        self._looking = None


class Sentinels:
    """Those who know the primary of `where.service`, for whoever connects to it by itself."""

    def __init__(self, where: Address) -> None:
        self._service, self._known = where.service, _sentinels(where)

    async def primary(self) -> tuple[str, int]:
        """Its host and port at this moment. redis-py's MasterNotFoundError when none of them says so."""
        host, port = await self._known.discover_master(self._service)
        return host, int(port)

    async def close(self) -> None:
        """Hang up."""
        for sentinel in self._known.sentinels:
            await sentinel.aclose()


def sentinel_pool(where: Address, options: dict[str, Any]) -> SentinelPool:
    """Connections to the primary of `where.service`. `options` are redis-py's for a connection to it."""
    return SentinelPool(where.service, _sentinels(where), ssl=where.tls, **options)


def _sentinels(where: Address) -> Sentinel:
    return Sentinel(
        list(where.hosts),
        sentinel_kwargs={
            "username": where.sentinel_username,
            "password": where.sentinel_password,
            "socket_timeout": ANSWER_TIMEOUT_S,
            "socket_connect_timeout": ANSWER_TIMEOUT_S,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            "ssl": where.tls,
        },
    )  # type: ignore[no-untyped-call]  # likewise
