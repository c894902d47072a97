"""What inhibits whom by now: sources read at most once a second, whoever asks; orphans among them are taken out."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from monitor.engine.inhibit import LINGER, Inhibition, Inhibitors
from monitor.engine.ports import Clock
from monitor.engine.records import Records
from monitor.model.alert import State
from monitor.model.group import Group, Hush
from monitor.model.record import Entry, Record
from monitor.model.source import Source
from monitor.rules.templates import labels_of

#: How old what is known of the sources may be.
FRESH = timedelta(seconds=1)


class SourceStore(Records, Protocol):
    """What this page needs of the store. Every method raises StoreUnavailable when the store does not answer."""

    async def sources(self, now: datetime) -> tuple[Source, ...]:
        """Those that fire, and those that ended within the hour; older ones are forgotten."""
        ...

    async def end_source(self, source: Source, now: datetime) -> bool:
        """Take one out, if no row has come for it since it was read."""
        ...


@dataclass(slots=True)
class Inhibited:
    """A source of suppression (`suppress.Source`), for all channels of a process."""

    store: SourceStore
    clock: Clock
    rules: tuple[Inhibition, ...]
    fresh: timedelta = FRESH
    _held: Inhibitors = field(init=False)
    _read_at: datetime | None = None
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self._held = Inhibitors.of((), self.rules)

    async def __call__(self, group: Group, entries: Sequence[Entry], now: datetime) -> Mapping[str, Hush]:
        """What inhibits these alerts. StoreUnavailable when nothing fresh is known: then they are told.

        Once its source is over, the end of what was told before need not wait until others have recovered too.
        """
        held = await self._fresh()
        found = {entry.id: held.inhibited(labels_of(entry), now) for entry in entries}
        ended = {entry.id for entry in entries if entry.status == "resolved" and _heard(group, entry)}
        return {
            name: _hush(source)
            for name, source in found.items()
            if source is not None and not (source.ended_at and name in ended)
        }

    async def tidy(self) -> int:
        """Take out sources whose record knows nothing of them: it was lost, or the store's time went back; how many."""
        now = self.clock()
        firing = [source for source in await self.store.sources(now) if source.ended_at is None]
        names = sorted({source.account for source in firing})
        records = dict(zip(names, await self.store.load_many(names), strict=True)) if names else {}
        orphans = [source for source in firing if not _known(source, records[source.account])]
        return sum([await self.store.end_source(source, now) for source in orphans])

    async def _fresh(self) -> Inhibitors:
        async with self._reading:
            now = self.clock()
            if self._read_at is None or not timedelta(0) <= now - self._read_at < self.fresh:
                self._held = Inhibitors.of(await self.store.sources(now), self.rules)
                self._read_at = now
        return self._held


def _heard(group: Group, entry: Entry) -> bool:
    told = group.open.get(entry.fingerprint)
    return told is not None and told.heard and told.entry.id == entry.id


def _hush(source: Source) -> Hush:
    """While it fires nobody knows its end."""
    what = " ".join(filter(None, (source.labels.get(name) for name in ("rule", "provider", "account", "asset"))))
    until = None if source.ended_at is None else source.ended_at + LINGER
    return Hush("inhibited", source.since, until, by=what)


def _known(source: Source, record: Record) -> bool:
    """Whether the record has that alert firing; one that cannot be read may."""
    if record.version == 0 and record.outage is not None:
        return True
    return any(
        one.fingerprint == source.fingerprint and one.state is State.FIRING and one.inhibits for one in record.alerts
    )
