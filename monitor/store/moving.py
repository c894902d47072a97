"""Rows on their way from an account's outbox to the groups of the channels.

Any number of movers may work on one account at once: each applies, in order, all that it found in the outbox,
and a group ignores what it already knows. A committer applies and strikes nothing off; the sweep applies once
more a few seconds later, which heals a crash or a failover in between, and strikes off what it applied.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog

from monitor.model.group import Item
from monitor.model.record import Row
from monitor.model.source import Source
from monitor.model.target import Target
from monitor.model.window import MICROSECOND, micros, moment
from monitor.store import codec
from monitor.store.codec import UNREADABLE
from monitor.store.keys import SOURCES, ChannelKeys, Partition
from monitor.store.session import Session

log = structlog.get_logger("monitor.store")

#: The same as the committer's: rows that came during a sweep are swept after this.
SWEEP_DELAY = timedelta(seconds=5)
#: Groups that owe and know nothing are deleted after this; by then no row for them is on its way.
FORGET_AFTER = timedelta(hours=1)
#: For so long a group surely remembers what an account last owed it, and so many are looked at in one go.
MARKS_KEPT, MARKS_READ = timedelta(days=1), 500
#: Groups deleted in one go.
TIDY_MAX = 100

#: A row with its place: version, index.
_Placed = tuple[int, int, Row]


class MovingStore(Session):
    """Implements `move` and `sweep`. `expect_group` is told what became due in which channel."""

    def expect_group(self, channel: str, at_us: int) -> None:
        """A group of that channel is due then."""

    async def move(self, account: str) -> int:
        """Apply the account's outstanding rows to their groups, in order; returns how many there were."""
        return len(await self._apply(account))

    async def sweep(self, limit: int) -> int:
        """Move rows whose committer may have died, strike off those applied; returns how many accounts."""
        found = await asyncio.gather(*(self._overdue(where, limit) for where in self.partitions))
        accounts = [account for overdue in found for account in overdue][:limit]
        results = await asyncio.gather(*(self._settle(one) for one in accounts), return_exceptions=True)
        for result in results:
            # One account's trouble must not keep the others' rows: it is raised when they have moved.
            if isinstance(result, BaseException):
                raise result
        return len(accounts)

    async def tidy(self, channel: str) -> int:
        """Delete groups long idle; returns how many. Only right when `sweep` has just found nothing.

        Also drops what a group remembers of accounts that owed it nothing for a day, where these are many.
        """
        where = ChannelKeys(channel)
        if crowded := await self._calls.command("HGET", where.clock, "crowded"):
            await self._calls.command("HDEL", where.clock, "crowded")
            await self._trim(where.marks(crowded.decode()))
        idle = await self._calls.fcall("bm_idle", [where.idle], self._now, FORGET_AFTER // MICROSECOND, TIDY_MAX)
        calls = [self._calls.fcall("bm_forget", group_keys(where, one.decode()), one) for one in idle]
        return sum(await asyncio.gather(*calls))

    async def _trim(self, marks: str) -> None:
        """Drop the marks of accounts that owed a group nothing for a day.

        No outbox is overdue: whatever is still to be applied is younger, and has its effect once. Versions are times.
        """
        oldest, cursor = micros(await self.time() - MARKS_KEPT), b"0"
        while True:
            cursor, found = await self._calls.command("HSCAN", marks, cursor, "COUNT", MARKS_READ)
            pairs = zip(found[::2], found[1::2], strict=True)
            old = [part for name, mark in pairs if int(mark.partition(b"-")[0]) < oldest for part in (name, mark)]
            if old:
                await self._calls.fcall("bm_trim", [marks], *old)
            if cursor == b"0":
                return

    async def _overdue(self, where: Partition, limit: int) -> list[str]:
        found = await self._calls.fcall("bm_outdue", [where.outdue, where.outclock], self._now, limit)
        return [account.decode() for account in found]

    async def _settle(self, account: str) -> None:
        fields = await self._apply(account)
        where = self.partition(account)
        await self._calls.fcall(
            "bm_strike",
            [where.outbox(account), where.outdue],
            self._now,
            account,
            SWEEP_DELAY // MICROSECOND,
            *fields,
        )

    async def _apply(self, account: str) -> list[str]:
        """Give every group its rows; returns the outbox fields that are done with: all it could read, or it raises."""
        stored = await self._calls.command("HGETALL", self.partition(account).outbox(account))
        rows, given_up = self._read_rows(account, stored)
        by_group: dict[tuple[str, str], list[tuple[_Placed, Target]]] = {}
        for placed in rows:
            for target in placed[2].targets:
                by_group.setdefault((target.channel, target.group), []).append((placed, target))
        await asyncio.gather(
            *(self._apply_to(account, owed) for owed in by_group.values()),
            *(self._inhibit(version, index, row.source) for version, index, row in rows if row.source),
        )
        return [f"{version}-{index}" for version, index, _ in rows] + given_up

    def _read_rows(self, account: str, stored: list[bytes]) -> tuple[list[_Placed], list[str]]:
        """An outbox in order, up to a row that this release cannot read; and the fields of such rows given up.

        A newer release may know what it says, so for an hour it holds up what came after it.
        """
        rows: list[_Placed] = []
        given_up: list[str] = []
        for version, index, text in _in_order(stored):
            try:
                rows.append((version, index, codec.row(text)))
            except UNREADABLE as error:
                field = f"{version}-{index}"
                log.error("row.unreadable", account=account, row=field, why=type(error).__name__)
                now_us = self._estimate_us()
                if now_us is None or version > now_us - FORGET_AFTER // MICROSECOND:
                    break
                given_up.append(field)
        return rows, given_up

    async def _apply_to(self, account: str, owed: Sequence[tuple[_Placed, Target]]) -> None:
        """One group's rows, in one call. The newest row's timings count."""
        target = owed[-1][1]
        args: list[str | bytes | int] = [
            self._now, target.group, account, codec.dump(target.labels),
            *(time // MICROSECOND for time in (self._wait(target), target.interval, target.repeat)),
            target.route,
        ]  # fmt: skip
        for (version, index, row), to in owed:
            key = _urgency(row) + _key(account, version, index)
            item = codec.dump(Item(key, row.news, row.entry, to.not_before))
            args += [version, index, row.news, row.entry.fingerprint, key, item]
        _, due_us = await self._calls.fcall("bm_apply", group_keys(ChannelKeys(target.channel), target.group), *args)
        if due_us:
            self.expect_group(target.channel, int(due_us))

    async def _inhibit(self, version: int, index: int, source: Source) -> None:
        """An alert keeps others quiet from now on, or no longer."""
        await self._calls.fcall("bm_source", [SOURCES], source.fingerprint, version, index, codec.dump(source))

    def _wait(self, target: Target) -> timedelta:
        """How long a new group waits: for company, or until nobody has answered for long enough."""
        now_us = self._estimate_us()
        if target.not_before is None or now_us is None:
            return target.wait
        return max(target.wait, target.not_before - moment(now_us))


def group_keys(where: ChannelKeys, group: str) -> list[str]:
    """The keys of a group in the order in which its functions take them."""
    return [
        where.group(group), where.news(group), where.items(group), where.telling(group), where.open(group),
        where.live(group), where.marks(group), where.due, where.leased, where.idle,
        where.hushed, where.critical, where.warning, where.failing, where.health, where.clock, where.alone,
    ]  # fmt: skip


def _key(account: str, version: int, index: int) -> str:
    """An item's name in its group, behind its urgency. Versions are unique in a partition only, hence the account."""
    return f"{version}-{index}@{account}"


def _urgency(row: Row) -> str:
    """How soon it is to be told, as one of URGENCIES: what is over and what was said before comes last."""
    return "i" if row.news in ("resolved", "reminder", "acked") else row.entry.severity[0]


def _in_order(stored: list[bytes]) -> list[tuple[int, int, bytes]]:
    """An outbox as RESP 2 answers it, oldest row first."""
    rows = []
    for at in range(0, len(stored), 2):
        version, _, index = stored[at].decode().partition("-")
        rows.append((int(version), int(index), stored[at + 1]))
    return sorted(rows)
