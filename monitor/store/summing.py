"""What sums over accounts read of the store: who changed, who is stale, what moved."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from monitor.engine.sums import CLOCKS_DIFFER, Cursor, Moves, SumNews
from monitor.model.event import Event
from monitor.model.window import micros, moment
from monitor.store import codec
from monitor.store.keys import Partition
from monitor.store.session import Session

#: Changed accounts, and movements, asked of a partition in one call.
CHUNK = 1_000
#: Movements of a partition that are kept at most; `poll.lua` has the same number.
MOVES_MAX = 100_000


class SummingStore(Session):
    """Implements what the polling port has for sums."""

    async def sum_news(self, since: Mapping[int, Cursor]) -> Mapping[int, SumNews]:
        """By partition, what is new for sums since then; `whole` where nothing is known."""
        found = await asyncio.gather(*(self._news(one, since.get(one.number)) for one in self.partitions))
        return {one.number: news for one, news in zip(self.partitions, found, strict=True)}

    async def _news(self, where: Partition, since: Cursor | None) -> SumNews:
        keys = [where.changed, where.seen, where.seq, where.epoch]
        version, stale_from = ("", "") if since is None else (since.version, micros(since.at - CLOCKS_DIFFER))
        cursor, changed, stale = None, list[str](), tuple[str, ...]()
        while True:
            reply = await self._calls.fcall("bm_news", keys, self._now, version, stale_from, CHUNK)
            first, pairs = 4 + int(reply[3]), reply[4 + int(reply[3]) :]
            if cursor is None:
                # As of the first page: who changes meanwhile may come again.
                cursor = Cursor(int(reply[1]), moment(int(reply[0])), reply[2].decode())
                stale = tuple(name.decode() for name in reply[4:first])
                if since is None or not since.leads_to(cursor):
                    return SumNews((), (), cursor, whole=True)
            changed += [name.decode() for name in pairs[::2]]
            if len(pairs) < 2 * CHUNK:
                return SumNews(tuple(changed), stale, cursor)
            version, stale_from = int(pairs[-1]), micros(cursor.at)

    async def expect_readings(self, stale_at: Mapping[str, datetime]) -> None:
        """Count these accounts as stale from then on, or from earlier; their next reading says otherwise."""
        await self._gather(
            [("ZADD", self.partition(name).seen, "LT", str(micros(at)), name) for name, at in stale_at.items()]
        )

    async def moves(self, since: Mapping[int, int], at_least: datetime) -> Moves:
        """By partition, the movements since those versions, none recorded before `at_least`."""
        oldest = max(0, micros(at_least))
        found = await asyncio.gather(*(self._moves(one, since.get(one.number, 0), oldest) for one in self.partitions))
        read = {one.number: version for one, (_, version) in zip(self.partitions, found, strict=True) if version}
        # What was read is all there is, and as much as there can be.
        cut = any(len(events) >= MOVES_MAX for events, _ in found)
        return Moves(tuple(event for events, _ in found for event in events), read, cut)

    async def _moves(self, where: Partition, version: int, oldest: int) -> tuple[list[Event], int]:
        events: list[Event] = []
        # Whatever a version brought was written with it: the next ones have a higher one.
        start = str(max(version + 1, oldest))
        while True:
            rows = await self._calls.command("XRANGE", where.moves, start, "+", "COUNT", CHUNK)
            events += [replace(codec.event(fields[3]), account=fields[1].decode()) for _, fields in rows]
            if rows:
                version = int(rows[-1][0].partition(b"-")[0])
                start = "(" + rows[-1][0].decode()
            if len(rows) < CHUNK:
                return events, version
