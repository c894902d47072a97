"""Calls that wait at the same moment share one pipeline.

Per-call overhead of the client dominates everything else, so callers just await `call` and whatever has
gathered by the end of a loop tick goes out together. A failure belongs to its call alone; a lost connection
fails every call of its batch, and nothing is repeated, except a call that a server did not run because it
lacks our functions.
"""

import asyncio
import os
import socket
import ssl
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import RedisError, ResponseError

from monitor.errors import StoreUnavailable
from monitor.store.functions import called, is_missing, source
from monitor.store.wire import CONNECTIONS_MAX, Command, Wire

#: Commands in one pipeline: enough to make the overhead vanish, few enough not to hold up the server.
BATCH_MAX = 128
#: Calls that may wait. Callers are bounded by their own concurrency; this bounds a mistake.
WAITING_MAX = 100_000


class Calls(Protocol):
    """What the parts of the store call through, whatever it is made of."""

    async def fcall(self, function: str, keys: Sequence[str], *args: str | bytes | int) -> Any:
        """Call a function; StoreUnavailable when there is no answer, or the server refuses."""
        ...

    async def command(self, *command: str | bytes | int) -> Any:
        """Send one command; StoreUnavailable when there is no answer, or the server refuses."""
        ...

    async def together(self, *commands: Command) -> list[Any]:
        """Send these at once, and wait for all their answers; StoreUnavailable when one has none."""
        ...

    async def everywhere(self, *command: str | bytes | int) -> list[Any]:
        """Send one command to every primary; redis' own exceptions, OSError or StoreUnavailable when one fails."""
        ...

    async def drain(self) -> None:
        """Wait for what is on its way."""
        ...

    async def close(self) -> None:
        """The same, then hang up."""
        ...


def fcall(function: str, keys: Sequence[str], *args: str | bytes | int) -> Command:
    """The command that calls a function of ours."""
    return ("FCALL", called(function), len(keys), *keys, *args)


class Line(ABC):
    """Calls to one server. One that lacks our functions is given them, and asked again: it did not run the call."""

    def __init__(self) -> None:
        self._loading: asyncio.Task[None] | None = None

    async def fcall(self, function: str, keys: Sequence[str], *args: str | bytes | int) -> Any:
        """See Calls."""
        return await self.command(*fcall(function, keys, *args))

    async def command(self, *command: str | bytes | int) -> Any:
        """See Calls."""
        try:
            return await self.run(command)
        except RedisError as error:
            raise unavailable(error) from None

    async def together(self, *commands: Command) -> list[Any]:
        """See Calls."""
        # Without a task for each, which would cost as much as the call.
        answers = [self._enqueue(command) for command in commands]
        try:
            return [await self._finish(*one) for one in zip(commands, answers, strict=True)]
        except RedisError as error:
            raise unavailable(error) from None
        finally:
            for answer in answers:
                if not answer.cancel() and not answer.cancelled():
                    # Heard, though nobody listens any more.
                    answer.exception()

    async def everywhere(self, *command: str | bytes | int) -> list[Any]:
        """See Calls."""
        return [await self.run(command)]

    async def run(self, command: Command) -> Any:
        """The answer; redis' own exceptions, or StoreUnavailable."""
        return await self._finish(command, self._enqueue(command))

    async def _finish(self, command: Command, answer: asyncio.Future[Any]) -> Any:
        try:
            return await answer
        except ResponseError as error:
            if not is_missing(error):
                raise
        await self._repair()
        return await self._enqueue(command)

    @abstractmethod
    async def asking(self, command: Command) -> Any:
        """The same of a slot that is just moving here."""

    @abstractmethod
    async def drain(self) -> None:
        """Wait for what is on its way."""

    @abstractmethod
    async def close(self) -> None:
        """The same, then hang up."""

    @abstractmethod
    def _enqueue(self, command: Command) -> asyncio.Future[Any]:
        """Send it as soon as may be."""

    async def _repair(self) -> None:
        """Load our functions once for all calls that miss them at the same moment."""
        if self._loading is None or self._loading.done():
            self._loading = asyncio.get_running_loop().create_task(self._load())
        await asyncio.shield(self._loading)

    async def _load(self) -> None:
        await self._enqueue(("FUNCTION", "LOAD", "REPLACE", source()))


class Batch(Line):
    """Collects calls and sends them through a wire: at most BATCH_MAX at a time, on all its connections at once."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire
        self._waiting: deque[tuple[Command, asyncio.Future[Any]]] = deque()
        self._sending: set[asyncio.Task[None]] = set()
        self._scheduled = False

    async def asking(self, command: Command) -> Any:
        """See Line."""
        _, answer = await self._wire.execute([("ASKING",), command])
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        """See Calls."""
        await self.drain()
        await self._wire.close()

    async def drain(self) -> None:
        """See Calls."""
        while self._sending or self._waiting:
            await (asyncio.wait(self._sending) if self._sending else asyncio.sleep(0))

    def _enqueue(self, command: Command) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        if len(self._waiting) >= WAITING_MAX:
            raise StoreUnavailable("too many calls wait for the store")
        future: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((command, future))
        if not self._scheduled and len(self._sending) < CONNECTIONS_MAX:
            self._scheduled = True
            loop.call_soon(self._flush)
        return future

    def _flush(self) -> None:
        self._scheduled = False
        while self._waiting and len(self._sending) < CONNECTIONS_MAX:
            size = min(BATCH_MAX, len(self._waiting))
            batch = [self._waiting.popleft() for _ in range(size)]
            task = asyncio.get_running_loop().create_task(self._send(batch))
            self._sending.add(task)
            task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if self._waiting:
            self._flush()

    async def _send(self, batch: list[tuple[Command, asyncio.Future[Any]]]) -> None:
        try:
            answers = await self._wire.execute([command for command, _ in batch])
        except BaseException as error:
            failure = error if isinstance(error, RedisError) else unavailable(error)
            for _, future in batch:
                if not future.done():
                    future.set_exception(failure)
            if isinstance(error, Exception):
                return
            raise
        for (_, future), answer in zip(batch, answers, strict=True):
            # A caller that was cancelled no longer listens.
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)


def unavailable(error: BaseException, place: str = "") -> StoreUnavailable:
    """The same failure as ours. A server's own words are quoted; the client's may hold a password."""
    store = f"the store at {place}" if place else "the store"
    if isinstance(error, ResponseError):
        return StoreUnavailable(f"{store} refused: {str(error)[:200]}")
    return StoreUnavailable(f"{store} did not answer: {_reason(error)}")


def _reason(error: BaseException) -> str:
    """What the system said below the client's error, else the error's name."""
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, socket.gaierror):
            return "the host name does not resolve"
        if isinstance(below, ssl.SSLError):
            return f"TLS failed, {(below.reason or 'unknown reason').replace('_', ' ').lower()}"
        if isinstance(below, MasterNotFoundError):
            return "no sentinel knows a primary of this service"
        if isinstance(below, OSError) and below.errno:
            return os.strerror(below.errno)
        below = below.__cause__ or below.__context__
    return type(error).__name__
