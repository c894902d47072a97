"""Who the primary is, according to its sentinels: asked whenever a connection is made.

Source: https://redis.io/docs/latest/develop/reference/sentinel-clients/
"""

from typing import Any

from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff

from monitor.store.url import Address

#: A sentinel that takes longer is passed over for the next one.
ANSWER_TIMEOUT_S = 1.0


class SentinelPool(SentinelConnectionPool):
    """Connections to the primary of the moment. One that answers READONLY is hung up, and the sentinels asked again."""

    async def aclose(self) -> None:
        """Hang up on the servers and on the sentinels."""
        await super().aclose()
        for sentinel in self.sentinel_manager.sentinels:
            await sentinel.aclose()


def sentinel_pool(where: Address, options: dict[str, Any]) -> SentinelPool:
    """Connections to the primary of `where.service`. `options` are redis-py's for a connection to it."""
    known = Sentinel(
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
    )  # type: ignore[no-untyped-call]  # redis-py left it so
    return SentinelPool(where.service, known, ssl=where.tls, **options)  # type: ignore[no-untyped-call]  # likewise
