"""What sums over accounts read of the store: who changed, who is stale, what moved."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from monitor.engine.sums import SumNews
from monitor.model.event import Event
from monitor.model.window import micros
from monitor.store import codec
from monitor.store.keys import Partition
from monitor.store.session import Session

#: Changed accounts, and movements, asked of a partition in one call.
CHUNK = 1_000


class SummingStore(Session):
    """Implements what the polling port has for sums."""

    async def sum_news(self, since: Mapping[int, int]) -> Mapping[int, SumNews]:
        """By partition, what is new for sums since those versions (none: from the beginning)."""
        found = await asyncio.gather(*(self._news(one, since.get(one.number, 0)) for one in self.partitions))
        return {one.number: news for one, news in zip(self.partitions, found, strict=True)}

    async def _news(self, where: Partition, version: int) -> SumNews:
        changed: list[str] = []
        while True:
            reply = await self._batch.fcall("bm2_news", [where.changed, where.seen], self._now, version, CHUNK)
            stale, pairs = reply[2 : 2 + int(reply[1])], reply[2 + int(reply[1]) :]
            changed += [name.decode() for name in pairs[::2]]
            version = max(version, *map(int, pairs[1::2])) if pairs else version
            if len(pairs) < 2 * CHUNK:
                return SumNews(tuple(changed), frozenset(name.decode() for name in stale), version)

    async def expect_readings(self, stale_at: Mapping[str, datetime]) -> None:
        """Count these accounts as stale from then on, unless a reading has already said otherwise."""
        await self._gather(
            [("ZADD", self.partition(name).seen, "NX", str(micros(at)), name) for name, at in stale_at.items()]
        )

    async def moves(self, since: Mapping[int, int], at_least: datetime) -> tuple[tuple[Event, ...], Mapping[int, int]]:
        """By partition, the movements since those versions, none recorded before `at_least`; and how far it goes."""
        oldest = max(0, micros(at_least))
        found = await asyncio.gather(*(self._moves(one, since.get(one.number, 0), oldest) for one in self.partitions))
        read = {one.number: version for one, (_, version) in zip(self.partitions, found, strict=True) if version}
        return tuple(event for events, _ in found for event in events), read

    async def _moves(self, where: Partition, version: int, oldest: int) -> tuple[list[Event], int]:
        events: list[Event] = []
        # Whatever a version brought was written with it: the next ones have a higher one.
        start = str(max(version + 1, oldest))
        while True:
            rows = await self._batch.command("XRANGE", where.moves, start, "+", "COUNT", CHUNK)
            events += [replace(codec.event(fields[3]), account=fields[1].decode()) for _, fields in rows]
            if rows:
                version = int(rows[-1][0].partition(b"-")[0])
                start = "(" + rows[-1][0].decode()
            if len(rows) < CHUNK:
                return events, version
