"""What the API and the commands read of the store."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from monitor.errors import RecordUnreadable
from monitor.model.event import Event
from monitor.model.past import Past
from monitor.model.record import Point, Record
from monitor.model.snapshot import Outage
from monitor.model.window import micros, moment
from monitor.store import codec
from monitor.store.session import Session

#: Entries of a stream read at once.
PAGE = 1_000
#: A value that was replaced within its hour stands only among the recent ones, which are asked for from there on.
_HOUR_US = 3_600_000_000


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
        found = await self._calls.command("XREVRANGE", stream, end, "-", "COUNT", limit)
        return [(name.decode(), codec.event(fields[1])) for name, fields in found]

    async def past(self, account: str, since: datetime) -> Past:
        """Everything that is stored of an account since then, and what held then already."""
        where = self.partition(account)
        closing = codec.flat(await self._calls.command("HGETALL", where.closing(account)))
        last = dict(_closing(name, held) for name, held in closing.items())
        start, found, times, fine_from = micros(since), _Found(), dict[bytes, int](), 0
        for asset in sorted({asset for asset, _ in last}):
            recent = await self._stream(where.points(account, asset), start - _HOUR_US)
            hourly = await self._stream(where.hourly(account, asset), start - _HOUR_US)
            times.update((_version(name), int(fields[1])) for name, fields in recent)
            found.add(asset, hourly)
            begun = min((at for _, at, _ in _told(recent)), default=0)
            if any(start <= at < begun for _, at, _ in _told(hourly)):
                fine_from = max(fine_from, begun)
            found.add(asset, recent)
        for (asset, measure), (at, value) in last.items():
            found.values[at, asset, measure] = value
        events = await self._stream(where.events(account), start)
        return Past(
            points=found.points(start),
            events=tuple(
                (moment(times.get(version := _version(name), int(version))), codec.event(fields[1]))
                for name, fields in events
            ),
            fine_from=moment(fine_from) if fine_from else None,
        )

    async def _stream(self, stream: str, since_us: int) -> list[Any]:
        """A stream from there to its end, in pieces: a long reply would hold up everybody else's."""
        found: list[Any] = []
        start = str(max(0, since_us))
        while page := await self._calls.command("XRANGE", stream, start, "+", "COUNT", PAGE):
            found += page
            if len(page) < PAGE:
                break
            start = f"({page[-1][0].decode()}"
        return found

    async def open_accounts(self) -> list[str]:
        """Accounts that have alerts, pending ones included, in no order."""
        found = await self._gather([("SMEMBERS", one.open) for one in self.partitions])
        return [account.decode() for members in found for account in members]


def _readable(account: str, stored: Any, now: datetime) -> Record:
    try:
        return codec.record(account, stored)
    except RecordUnreadable as error:
        return Record(account, failing_since=now, outage=Outage(at=now, kind="garbled", why=str(error)))


@dataclass(slots=True)
class _Found:
    """Values by when they were read, of which asset and measure: what two streams hold counts once."""

    values: dict[tuple[int, str, str], str] = field(default_factory=dict)

    def add(self, asset: str, entries: Any) -> None:
        for measure, at, value in _told(entries):
            self.values[at, asset, measure] = value

    def points(self, start: int) -> tuple[Point, ...]:
        """Those from then on, after the last one of each measure before."""
        before: dict[tuple[str, str], tuple[int, str, str]] = {}
        after = []
        for key in sorted(self.values):
            if key[0] <= start:
                before[key[1:]] = key
            else:
                after.append(key)
        return tuple(
            Point(asset, measure, Decimal(self.values[at, asset, measure]), moment(at))
            for at, asset, measure in (*sorted(before.values()), *after)
        )


def _closing(name: str, held: bytes) -> tuple[tuple[str, str], tuple[int, str]]:
    """(asset, measure), (time, value) of a measure's last value."""
    asset, _, measure = name.rpartition(" ")
    at, _, value = held.decode().partition(" ")
    return (asset, measure), (int(at), value)


def _version(name: bytes) -> bytes:
    return name.partition(b"-")[0]


def _told(entries: Any) -> Iterator[tuple[str, int, str]]:
    """Measures, times and values out of a stream as RESP 2 answers it."""
    for _, fields in entries:
        for at in range(2, len(fields), 2):
            yield fields[at].decode(), int(fields[1]), fields[at + 1].decode()


def _values(entries: Any, wanted: str) -> Iterator[tuple[int, str]]:
    """The times and values of one measure."""
    return ((at, value) for measure, at, value in _told(entries) if measure == wanted)
