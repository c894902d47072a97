"""Calls to the store, however they travel.

A failure belongs to its call alone; a lost connection fails every call that was on its way, and nothing is repeated,
except a call that a server did not run because it lacks our functions.
"""

import asyncio
import os
import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import RedisError, ResponseError

from monitor.errors import StoreUnavailable
from monitor.store.functions import called, is_missing, source
from monitor.store.wire import Command

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

    def fcall(self, function: str, keys: Sequence[str], *args: str | bytes | int) -> Coroutine[Any, Any, Any]:
        """See Calls."""
        return self.command(*fcall(function, keys, *args))

    async def command(self, *command: str | bytes | int) -> Any:
        """See Calls."""
        try:
            return (await self.run(command))[0]
        except RedisError as error:
            raise unavailable(error) from None

    async def together(self, *commands: Command) -> list[Any]:
        """See Calls."""
        try:
            return await self.run(*commands)
        except RedisError as error:
            raise unavailable(error) from None

    async def everywhere(self, *command: str | bytes | int) -> list[Any]:
        """See Calls."""
        return await self.run(command)

    async def run(self, *commands: Command) -> list[Any]:
        """The answers; redis' own exceptions, or StoreUnavailable."""
        # Without a task for each, which would cost as much as the call.
        answers, said = [self._enqueue(command) for command in commands], []
        try:
            for command, answer in zip(commands, answers, strict=True):
                try:
                    said.append(await answer)
                except ResponseError as error:
                    said.append(await self._again(command, error))
        except BaseException:
            for answer in answers:
                if not answer.cancel() and not answer.cancelled():
                    # Heard, though nobody listens any more.
                    answer.exception()
            raise
        return said

    async def _again(self, command: Command, error: ResponseError) -> Any:
        if not is_missing(error):
            raise error
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
