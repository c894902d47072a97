"""One connection on which calls follow each other without waiting, for the guard.

Whatever is called in one turn of the event loop is written at once, and answers find their calls by their order. There
is no task, no timer and no checking out of a connection per batch: measured, a call costs 3 µs of our CPU this way and
6 to 30 µs in batches, the more the fewer calls there are; and none waits for the answers of those before it.
"""

import asyncio
import errno
import os
import socket
import ssl
from collections import deque
from contextlib import suppress
from itertools import chain
from typing import Any

import hiredis
from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterDownError,
    MovedError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from monitor.errors import StoreUnavailable
from monitor.store.batch import WAITING_MAX, Line, unavailable
from monitor.store.life import LIFE, TRUSTED, Life, Witness, said_unknown
from monitor.store.sentinel import LOOK_EVERY_S, Sentinels
from monitor.store.url import Address
from monitor.store.wire import ANSWER_TIMEOUT_S, CONNECT_TIMEOUT_S, Command

Answer = asyncio.Future[Any]

#: What an error answer begins with → which error of redis-py it is; all others are ResponseErrors.
_KINDS: dict[str, type[RedisError]] = {
    "ASK": AskError,
    "CLUSTERDOWN": ClusterDownError,
    "MOVED": MovedError,
    "NOAUTH": AuthenticationError,
    "READONLY": ReadOnlyError,
    "WRONGPASS": AuthenticationError,
}
#: Who answers so is not, or not any more, the primary of what it was asked for.
_DEPOSED = (ReadOnlyError, AskError, ClusterDownError)


class Pipe(Line):
    """Calls to one server, or to whichever server the sentinels call the primary.

    LIFE and TRUSTED in a command are what `witness` says of the very connection the command travels on. A connection
    that is lost fails all calls that were on their way; nothing is ever repeated. The next call makes a new one.
    """

    def __init__(self, where: Address, witness: Witness) -> None:
        super().__init__()
        self._where, self._witness = where, witness
        self._sentinels = Sentinels(where) if where.service else None
        self._looking: asyncio.Task[None] | None = None
        self._unknown = False
        self._link: _Link | None = None
        #: All that are not lost yet: one that is left still brings the answers that it owes.
        self._links: set[_Link] = set()
        self._connecting: asyncio.Task[None] | None = None
        #: Called before there is a connection.
        self._waiting: deque[tuple[Command, Answer]] = deque()

    async def asking(self, command: Command) -> Any:
        """The same of a slot that is just moving here."""
        first, answer = self._enqueue(("ASKING",)), self._enqueue(command)
        await asyncio.wait([first, answer])
        first.exception()
        return await answer

    async def drain(self) -> None:
        """Wait for what is on its way."""
        while waiting := self._owed():
            await asyncio.wait(waiting)

    async def close(self) -> None:
        """The same, then hang up."""
        await self.drain()
        if tasks := [task for task in (self._connecting, self._looking) if task is not None]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        lost = [link.lost for link in self._links]
        for link in self._links:
            link.close()
        await asyncio.gather(*lost)
        if self._sentinels is not None:
            await self._sentinels.close()

    def _owed(self) -> list[Answer]:
        sent = chain.from_iterable(link.answers for link in self._links)
        return [answer for answer in chain((answer for _, answer in self._waiting), sent) if not answer.done()]

    def _enqueue(self, command: Command) -> Answer:
        link = self._link
        if link is not None and link.usable:
            return link.call(command)
        if len(self._waiting) >= WAITING_MAX:
            raise StoreUnavailable("too many calls wait for the store")
        answer: Answer = asyncio.get_running_loop().create_future()
        self._waiting.append((command, answer))
        if self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
        return answer

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                self._link = await self._open()
        except (RedisError, StoreUnavailable, OSError, TimeoutError) as error:
            for _, answer in self._waiting:
                if not answer.done():
                    answer.set_exception(error if isinstance(error, RedisError) else unavailable(error))
        else:
            for command, answer in self._waiting:
                # Whoever has given up meanwhile wants nothing done any more.
                if not answer.done():
                    self._link.send(command, answer)
        finally:
            self._waiting.clear()
            self._connecting = None

    async def _open(self) -> "_Link":
        """Connect, log in, and hear whose life this is. Interrupted, it is no connection at all."""
        where, loop = self._where, asyncio.get_running_loop()
        if self._sentinels is not None:
            where = where.node(*await self._sentinels.primary())
        if where.path:
            _, link = await loop.create_unix_connection(self._new_link, where.path)
        else:
            context = ssl.create_default_context() if where.tls else None
            _, link = await loop.create_connection(self._new_link, where.host, where.port, ssl=context)
        try:
            if where.password is not None:
                await link.ask("AUTH", *([where.username] if where.username else []), where.password)
            if where.db:
                await link.ask("SELECT", where.db)
            link.life = await self._witness(link.ask)
            self._unknown = said_unknown(link.life, self._unknown)
        except BaseException:
            link.close()
            raise
        if self._looking is not None:
            self._looking.cancel()
        self._looking = loop.create_task(self._look(link, where))
        return link

    async def _look(self, link: "_Link", where: Address) -> None:
        """Leave a server that is another one by now, though nobody hangs up: a primary that was cut off from its
        sentinels goes on taking writes, which are lost when it is back; one may have been a replica, or be a proxy.
        """
        while link.usable:
            await asyncio.sleep(LOOK_EVERY_S)
            # Those who do not answer change nothing.
            with suppress(RedisError, StoreUnavailable, OSError):
                if await self._deposed(link, where):
                    link.leave()

    async def _deposed(self, link: "_Link", where: Address) -> bool:
        if self._sentinels is not None and await self._sentinels.primary() != (where.host, where.port):
            return True
        life = await self._witness(link.ask)
        return life.known and life != link.life

    def _new_link(self) -> "_Link":
        return _Link(self._links)


class _Link(asyncio.Protocol):
    """One connection, and the answers that it owes. It is among `links` until it is lost."""

    def __init__(self, links: set["_Link"]) -> None:
        self._links = links
        self.answers: deque[Answer] = deque()
        # Asked for once, since that is a system call.
        self._loop = asyncio.get_running_loop()
        self.lost: Answer = self._loop.create_future()
        self._packed: list[bytes] = []
        self._reader = hiredis.Reader(replyError=_refusal)
        self._oldest: Answer | None = None
        self.life: Life | None = None
        self.usable = True

    def connection_made(self, transport: Any) -> None:
        """See asyncio.Protocol."""
        self._transport = transport
        self._links.add(self)
        if (plain := transport.get_extra_info("socket")) is not None and plain.family != socket.AF_UNIX:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self.usable = False
        self._links.discard(self)
        self.lost.set_result(None)
        self._watching.cancel()
        failure = unavailable(exc or ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)))
        for answer in self.answers:
            if not answer.done():
                answer.set_exception(failure)
        self.answers.clear()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        reader, answers = self._reader, self.answers
        reader.feed(data)
        try:
            while (said := reader.gets()) is not False:
                answer = answers.popleft()
                if isinstance(said, Exception):
                    self._refused(answer, said)
                # A caller that was cancelled no longer listens.
                elif not answer.done():
                    answer.set_result(said)
        except (hiredis.ProtocolError, IndexError):
            # What talks like this is no server of ours.
            self.close()
        if not self.usable:
            self.leave()

    def call(self, command: Command) -> Answer:
        """Send it; its answer."""
        answer: Answer = self._loop.create_future()
        self.send(command, answer)
        return answer

    def send(self, command: Command, answer: Answer) -> None:
        """Write it with whatever else is called in this turn. What cannot be written fails this call alone."""
        if len(self.answers) >= WAITING_MAX:
            answer.set_exception(StoreUnavailable("too many calls wait for the store"))
            return
        life = self.life
        words = command if life is None else [
            life.name if word is LIFE else life.trusted if word is TRUSTED else word for word in command
        ]  # fmt: skip
        try:
            packed = hiredis.pack_command(tuple(words))  # type: ignore[arg-type]  # their stub means one
        except (TypeError, ValueError) as error:
            answer.set_exception(unavailable(error))
            return
        if not self._packed:
            self._loop.call_soon(self._flush)
        self._packed.append(packed)
        self.answers.append(answer)

    async def ask(self, *command: str | int) -> Any:
        """One call of our own, and its answer."""
        return await self.call(command)

    def leave(self) -> None:
        """Hang up once all is answered; new calls go elsewhere."""
        self.usable = False
        if not self.answers:
            self._transport.abort()

    def close(self) -> None:
        """Hang up."""
        self.usable = False
        self._transport.abort()

    def _flush(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(b"".join(self._packed))
        self._packed.clear()

    def _refused(self, answer: Answer, refusal: Exception) -> None:
        # Connected again it may be another's: another primary under the same name, another life.
        if isinstance(refusal, _DEPOSED):
            self.leave()
        if not answer.done():
            answer.set_exception(refusal)

    def _watch(self) -> None:
        """Hang up on a server that leaves a call unanswered for ANSWER_TIMEOUT_S, or for half of it."""
        oldest = self.answers[0] if self.answers else None
        if oldest is not None and oldest is self._oldest:
            self.close()
        self._oldest = oldest
        self._watching = self._loop.call_later(ANSWER_TIMEOUT_S / 2, self._watch)


def _refusal(text: str) -> RedisError:
    """An error answer as redis-py's own clients would raise it."""
    code, _, rest = text.partition(" ")
    kind = _KINDS.get(code)
    return ResponseError(text) if kind is None else kind(rest)
