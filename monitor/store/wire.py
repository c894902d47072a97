"""How commands travel: one batch at a time on each of a few connections of redis-py.

Commands are packed by hiredis and answers are read off the connection directly, because redis-py's own
pipeline packs in Python: measured, a commit costs 14 µs of our CPU this way and 26 µs that way.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Protocol, runtime_checkable

import hiredis
from redis.asyncio.connection import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AskError, ClusterDownError, ReadOnlyError, RedisError, ResponseError

from monitor.store.sentinel import SentinelPool, sentinel_pool
from monitor.store.url import Address

#: One command: its name, then its arguments.
Command = Sequence[str | bytes | int]

#: Batches on their way at once, each on a connection of its own.
CONNECTIONS_MAX = 4
#: How long to wait for a connection, and for all answers of a batch: each takes well under a millisecond.
CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 5.0
#: After so long a silence whoever listens asks whether anybody is there.
QUIET_S = 5.0

#: Who answers so is not, or not any more, the primary of what it was asked for.
_DEPOSED = (ReadOnlyError, AskError, ClusterDownError)


@runtime_checkable
class Wire(Protocol):
    """Sends commands, and returns their answers in order; an error answer is returned, not raised.

    Raises redis' own exceptions, OSError or TimeoutError when there is no answer: nobody knows then which
    commands were run.
    """

    async def execute(self, commands: Sequence[Command]) -> list[Any]: ...

    async def close(self) -> None: ...


class Connections:
    """The wire to one server, or to whichever server the sentinels call the primary.

    Nothing is ever repeated: ids and tokens make that safe, and ours to decide.
    """

    def __init__(self, where: Address) -> None:
        options = {
            "retry": Retry(NoBackoff(), 0),
            # `execute` bounds the whole batch, which costs less than bounding each answer.
            "socket_timeout": None,
            "socket_connect_timeout": CONNECT_TIMEOUT_S,
            "protocol": 2,
            # One more than batches on their way: what a cluster redirects does not queue behind them.
            "max_connections": CONNECTIONS_MAX + 1,
            **where.options(),
        }
        self._pool: Any = sentinel_pool(where, options) if where.service else _server_pool(where, options)

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        """Send all, then read all answers, within ANSWER_TIMEOUT_S."""
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            connection = await self._pool.get_connection()
            try:
                packed, unfit = _pack(commands)
                await connection.send_packed_command(packed, check_health=False)
                answers = [unfit.get(place) or await _answer(connection) for place in range(len(commands))]
                if any(isinstance(answer, _DEPOSED) for answer in answers):
                    # Connected again it may be another's: another primary under the same name, another life.
                    await connection.disconnect()
                return answers
            finally:
                # After an error or a cancellation redis-py has hung up: no late answer meets another batch.
                await self._pool.release(connection)

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


async def _answer(connection: Any) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


def _pack(commands: Sequence[Command]) -> tuple[bytes, dict[int, Exception]]:
    """The bytes to send, and by place what cannot be sent: one caller's mistake must not fail the others."""
    packed: list[bytes] = []
    unfit: dict[int, Exception] = {}
    for place, command in enumerate(commands):
        try:
            packed.append(hiredis.pack_command(tuple(command)))  # type: ignore[arg-type]  # their stub means one
        except (TypeError, ValueError) as error:
            unfit[place] = error
    return b"".join(packed), unfit
