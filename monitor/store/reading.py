"""What the API and the commands read of the store."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from monitor.errors import RecordUnreadable
from monitor.model.event import Event
from monitor.model.record import Point, Record
from monitor.model.snapshot import Outage
from monitor.model.window import micros, moment
from monitor.store import codec
from monitor.store.session import Session


class ReadingStore(Session):
    """Implements the reading port."""

    async def load_many(self, accounts: Sequence[str]) -> list[Record]:
        """Records in the order asked, version 0 for those never written; one that is unreadable says so itself."""
        stored = await self._gather(
            [("HMGET", self.partition(account).record(account), *codec.FIELDS) for account in accounts]
        )
        now = await self.time()
        return [_readable(account, one, now) for account, one in zip(accounts, stored, strict=True)]

    async def due_at(self, provider: str, account: str) -> datetime | None:
        """When an account is due; None while it is being polled or when it is unknown."""
        where = self.partition(account)
        due, leased = await self._gather(
            [("ZSCORE", where.due(provider), account), ("ZSCORE", where.leased(provider), account)]
        )
        return None if due is None or leased is not None else moment(int(float(due)))

    async def history(
        self, account: str, asset: str, measure: str, since: datetime, until: datetime, limit: int
    ) -> list[Point]:
        """Points of one measure, oldest first: every change of late, before that the last of each hour.

        With more than `limit` the newest are answered.
        """
        where, start = self.partition(account), str(max(0, micros(since)))
        hourly, closing, recent = await self._gather(
            [
                ("XRANGE", where.hourly(account, asset), start, "+"),
                ("HGET", where.closing(account), f"{asset} {measure}"),
                ("XRANGE", where.points(account, asset), start, "+"),
            ]
        )
        found: dict[int, str] = dict(_values(hourly, measure))
        if closing is not None:
            at, _, value = closing.decode().partition(" ")
            found[int(at)] = value
        found.update(_values(recent, measure))
        wanted = sorted(at for at in found if micros(since) <= at <= micros(until))
        return [Point(asset, measure, Decimal(found[at]), moment(at)) for at in wanted[-limit:]]

    async def recent_events(self, account: str, before: str | None, limit: int) -> list[tuple[str, Event]]:
        """Events newest first, each with the cursor that continues after it."""
        stream = self.partition(account).events(account)
        end = "+" if before is None else f"({before}"
        found = await self._batch.command("XREVRANGE", stream, end, "-", "COUNT", limit)
        return [(name.decode(), codec.event(fields[1])) for name, fields in found]

    async def open_accounts(self) -> list[str]:
        """Accounts that have alerts, pending ones included, in no order."""
        found = await self._gather([("SMEMBERS", one.open) for one in self.partitions])
        return [account.decode() for members in found for account in members]


def _readable(account: str, stored: Any, now: datetime) -> Record:
    try:
        return codec.record(account, stored)
    except RecordUnreadable as error:
        return Record(account, failing_since=now, outage=Outage(at=now, kind="garbled", why=str(error)))


def _values(entries: Any, measure: str) -> Iterator[tuple[int, str]]:
    """Times and values of one measure out of a stream as RESP 2 answers it."""
    name = measure.encode()
    for _, fields in entries:
        for at in range(2, len(fields), 2):
            if fields[at] == name:
                yield int(fields[1]), fields[at + 1].decode()
