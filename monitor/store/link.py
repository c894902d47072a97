"""What travels on one connection to a server, and back."""

import asyncio
import errno
import os
import socket
from collections import deque
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
from monitor.store.life import LIFE, LOST, Life
from monitor.store.line import WAITING_MAX, unavailable
from monitor.store.wire import ANSWER_TIMEOUT_S, Command

#: What a call will be answered.
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


class Link(asyncio.Protocol):
    """One connection, and the answers that it owes. It is among `links` until it is lost.

    While so many as `most` writes are not answered, what is called gathers for the next one.
    """

    def __init__(self, links: set["Link"], most: int) -> None:
        self._links, self._most = links, most
        self.answers: deque[Answer] = deque()
        #: The last call of each write that is not answered yet.
        self._written: deque[Answer] = deque()
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
        full = len(self._written) >= self._most
        while self._written and self._written[0].done():
            self._written.popleft()
        if full:
            self._flush()
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
            life.name if word is LIFE else life.lost if word is LOST else word for word in command
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
        if len(self._written) >= self._most or not self._packed:
            return
        if not self._transport.is_closing():
            self._transport.write(b"".join(self._packed))
            self._written.append(self.answers[-1])
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
