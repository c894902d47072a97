"""Silences as they hold now: read at most once a second, whoever asks, and looked up for alerts."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

import structlog

from monitor.engine.ports import Clock
from monitor.engine.records import Records
from monitor.errors import StoreUnavailable
from monitor.model.group import Group, Hush
from monitor.model.labels import Matcher, compile_match
from monitor.model.record import Entry, Record
from monitor.model.silence import Silence, Unless
from monitor.rules.templates import labels_of

#: How old what is known of the silences may be.
FRESH = timedelta(seconds=1)

log = structlog.get_logger("monitor.silences")


class SilenceStore(Records, Protocol):
    """What this page needs of the store."""

    async def silences(self, now: datetime) -> tuple[Silence, ...]:
        """Those made at run time; ones that ended long ago are forgotten."""
        ...

    async def rouse(self, channel: str) -> None:
        """Look again at the groups of a channel in which something is suppressed."""
        ...


@dataclass(frozen=True, slots=True)
class Held:
    """A silence that is ready to be asked."""

    silence: Silence
    matches: Matcher


@dataclass(slots=True)
class Board:
    """The silences of a configuration and of the store, for all channels of a process. `changed` rings for them."""

    store: SilenceStore
    clock: Clock
    filed: tuple[Silence, ...] = ()
    channels: tuple[str, ...] = ()
    changed: Callable[[], None] = lambda: None
    _held: tuple[Held, ...] = ()
    _known: frozenset[tuple[str, datetime]] | None = None
    _read_at: datetime | None = None
    _roused: bool = True
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def held(self) -> tuple[Held, ...]:
        """All there are, ended ones included. StoreUnavailable when nothing fresh is known."""
        async with self._reading:
            now = self.clock()
            if self._read_at is None or not timedelta(0) <= now - self._read_at < FRESH:
                self._take((*self.filed, *await self.store.silences(now)))
                self._read_at = now
        return self._held

    async def refresh(self) -> None:
        """Read them, and have looked at again what a change may concern. Rung every second."""
        await self.held()
        if not self._roused:
            await asyncio.gather(*(self.store.rouse(channel) for channel in self.channels))
            self._roused = True
            self.changed()

    def _take(self, found: Iterable[Silence]) -> None:
        silences = {silence.id: silence for silence in found}
        said = frozenset(map(_said, silences.values()))
        if said != self._known:
            self._known, self._roused = said, False
            self._held = tuple(Held(silence, compile_match(silence.match)) for silence in silences.values())


def _said(silence: Silence) -> tuple[str, datetime]:
    """Only its end is ever changed."""
    return silence.id, silence.ends_at


@dataclass(frozen=True, slots=True)
class Silenced:
    """A source of suppression (`suppress.Source`)."""

    board: Board

    async def __call__(self, group: Group, entries: Sequence[Entry], now: datetime) -> Mapping[str, Hush]:
        """What silences these alerts. Where the store cannot be read those of the configuration hold all the same."""
        try:
            held = await self.board.held()
        except StoreUnavailable as error:
            log.warning("silences.unknown", channel=group.channel, why=str(error))
            held = tuple(Held(silence, compile_match(silence.match)) for silence in self.board.filed)
        active = [one for one in held if one.silence.state(now) == "active"]
        matching = {
            entry.id: tuple(one for one in matching_of(active, entry) if not _lifted_before(one, group, entry))
            for entry in (entries if active else ())
        }
        records = await self._records(entries, matching)
        return {
            entry.id: hush
            for entry in entries
            if (hush := _hush(entry, matching.get(entry.id, ()), records.get(entry.account), now))
        }

    async def _records(
        self, entries: Sequence[Entry], matching: Mapping[str, Sequence[Silence]]
    ) -> Mapping[str, Record]:
        """What is known of the accounts that decides whether a silence is lifted."""
        asked = {entry.account for entry in entries if any(one.unless for one in matching.get(entry.id, ()))} - {""}
        names = sorted(asked)
        return dict(zip(names, await self.board.store.load_many(names), strict=True)) if names else {}


def matching_of(held: Iterable[Held], entry: Entry) -> tuple[Silence, ...]:
    """The silences that match an alert."""
    labels = labels_of(entry)
    return tuple(one.silence for one in held if one.matches(labels))


def _lifted_before(silence: Silence, group: Group, entry: Entry) -> bool:
    """Whether it was lifted for this episode already: who heard of it in the silence also hears how it ends."""
    told = group.open.get(entry.fingerprint)
    if silence.unless is None or silence.starts_at is None or told is None or told.entry.id != entry.id:
        return False
    return told.heard and told.at >= silence.starts_at


def _hush(entry: Entry, silences: Iterable[Silence], record: Record | None, now: datetime) -> Hush | None:
    """The silence that holds longest; one that cannot be lifted is sure."""
    quiet = [one for one in silences if one.unless is None or not lifted(one.unless, entry, record)]
    if not quiet:
        return None
    last = max(quiet, key=lambda one: (one.unless is None, one.ends_at, one.id))
    return Hush("silenced", last.starts_at or now, last.ends_at, last.author, last.comment, last.unless is not None)


class Measured(Protocol):
    """What of an alert decides whether a silence is lifted for it: an entry, or an alert as `status` sees it."""

    @property
    def asset(self) -> str | None: ...

    @property
    def measure(self) -> str | None: ...

    @property
    def value(self) -> Decimal | None: ...


def lifted(unless: Unless, entry: Measured, record: Record | None) -> bool:
    """Whether things are worse than a silence was meant for.

    What counts is what was read last, however old: an outage alone makes nothing worse. It is the measure of the
    alert's own asset, else of any asset of the account; of an alert on no single account, its own value. Where nothing
    at all is known of that measure the silence could not keep its promise, so it hides nothing.
    """
    snapshot = record.snapshot if record else None
    amounts = snapshot.amounts if snapshot else {}
    own = amounts.get(entry.asset or "", {}).get(unless.measure)
    if own is not None:
        return unless.lifts(own)
    values = [measures[unless.measure] for measures in amounts.values() if unless.measure in measures]
    if not values and entry.value is not None and entry.measure == unless.measure:
        values = [entry.value]
    return not values or any(map(unless.lifts, values))
