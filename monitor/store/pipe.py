"""One connection on which calls follow each other without waiting.

Whatever is called in one turn of the event loop is written at once, and answers find their calls by their order. There
is no task, no timer and no checking out of a connection per batch: measured, a call costs 3 µs of our CPU this way and
6 to 30 µs in batches, the more the fewer calls there are; and none waits for the answers of those before it.
"""

import asyncio
import ssl
from collections import deque
from contextlib import suppress
from itertools import chain
from typing import Any

from redis.exceptions import RedisError

from monitor.errors import StoreUnavailable
from monitor.store.life import Witness, said_unknown
from monitor.store.line import WAITING_MAX, Line, unavailable
from monitor.store.link import Answer, Link
from monitor.store.sentinel import LOOK_EVERY_S, Sentinels
from monitor.store.url import Address
from monitor.store.wire import CONNECT_TIMEOUT_S, Command

#: Writes on their way at once where nobody minds waiting a little: under load each then holds many calls.
WRITES_MAX = 4


class Pipe(Line):
    """Calls to one server, or to whichever server the sentinels call the primary.

    LIFE and LOST in a command are what `witness` says of the very connection the command travels on; without one
    they are sent as they are. A connection that is lost fails all calls that were on their way; nothing is ever
    repeated: ids and tokens make that safe, and ours to decide. The next call makes a new one.
    """

    def __init__(self, where: Address, witness: Witness | None = None) -> None:
        super().__init__()
        self._where, self._witness = where, witness
        self._sentinels = Sentinels(where) if where.service else None
        self._looking: asyncio.Task[None] | None = None
        self._unknown = False
        self._link: Link | None = None
        #: All that are not lost yet: one that is left still brings the answers that it owes.
        self._links: set[Link] = set()
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
        place = self._where.place
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                self._link = await self._open()
        except (RedisError, StoreUnavailable, OSError, TimeoutError) as error:
            for _, answer in self._waiting:
                if not answer.done():
                    answer.set_exception(error if isinstance(error, RedisError) else unavailable(error, place))
        else:
            for command, answer in self._waiting:
                # Whoever has given up meanwhile wants nothing done any more.
                if not answer.done():
                    self._link.send(command, answer)
        finally:
            self._waiting.clear()
            self._connecting = None

    async def _open(self) -> Link:
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
            if self._witness is not None:
                link.life = await self._witness(link.ask)
                self._unknown = said_unknown(link.life, self._unknown)
        except BaseException:
            link.close()
            raise
        if self._looking is not None:
            self._looking.cancel()
        if self._sentinels is not None or self._witness is not None:
            self._looking = loop.create_task(self._look(link, where))
        return link

    async def _look(self, link: Link, where: Address) -> None:
        """Leave a server that is another one by now, though nobody hangs up: a primary that was cut off from its
        sentinels goes on taking writes, which are lost when it is back; one may have been a replica, or be a proxy.
        """
        while link.usable:
            await asyncio.sleep(LOOK_EVERY_S)
            # Those who do not answer change nothing.
            with suppress(RedisError, StoreUnavailable, OSError):
                if await self._deposed(link, where):
                    link.leave()

    async def _deposed(self, link: Link, where: Address) -> bool:
        if self._sentinels is not None and await self._sentinels.primary() != (where.host, where.port):
            return True
        if self._witness is None:
            return False
        life = await self._witness(link.ask)
        return life.known and life != link.life

    def _new_link(self) -> Link:
        return Link(self._links, WRITES_MAX if self._witness is None else WAITING_MAX)
