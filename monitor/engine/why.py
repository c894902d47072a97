"""The whole account of one alert: what was seen, what was made of it, who was told, and what became of that."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from monitor.engine.records import Records, all_records
from monitor.model.alert import Alert, fingerprint
from monitor.model.group import Hush
from monitor.model.ledger import Notification
from monitor.model.record import Record
from monitor.model.story import Told


class WhyStore(Records, Protocol):
    """What this page needs of the store."""

    async def open_accounts(self) -> list[str]: ...

    async def story(self, alert: str) -> tuple[Told, ...]: ...

    async def notifications_about(self, alert: str, channels: Iterable[str]) -> tuple[Notification, ...]: ...

    async def waits(self, channel: str, group: str, keys: Sequence[str]) -> bool: ...

    async def hushed(self, channel: str, group: str) -> Mapping[str, Hush]: ...


@dataclass(frozen=True, slots=True)
class Untold:
    """News of the alert that a channel has yet to hear, and what keeps them from being told, if anything does."""

    channel: str
    group: str
    hush: Hush | None = None


@dataclass(frozen=True, slots=True)
class Whole:
    """All that is known of an alert. `story` may have expired; `alert` is None when it is open no more, and
    `record` is where it lives."""

    id: str
    story: tuple[Told, ...] = ()
    notifications: tuple[Notification, ...] = ()
    untold: tuple[Untold, ...] = ()
    record: Record | None = None
    alert: Alert | None = None


async def whole(store: WhyStore, alert: str, channels: Iterable[str]) -> Whole | None:
    """The account of an alert, as far as it is still kept; None when nothing is known of it.

    `channels` are the configured ones; those that its story names count too.
    """
    story = await store.story(alert)
    record = await _record(store, alert, story)
    owed = _owed(story)
    known = dict.fromkeys([*channels, *(channel for channel, _ in owed)])
    notifications = await store.notifications_about(alert, known)
    if not story and not notifications and record is None:
        return None
    untold = [
        Untold(channel, group, await _hush(store, channel, group, alert, story))
        for (channel, group), keys in owed.items()
        if await store.waits(channel, group, keys)
    ]
    return Whole(alert, story, notifications, tuple(untold), record, record.alert(alert) if record else None)


async def _record(store: WhyStore, alert: str, story: Sequence[Told]) -> Record | None:
    if story:
        [record] = await store.load_many([story[-1].chapter.record])
        return record
    # Its story has expired, or was begun by an older release; it may be open all the same.
    async for record in all_records(store, await store.open_accounts()):
        if record.alert(alert) is not None:
            return record
    return None


def _owed(story: Sequence[Told]) -> dict[tuple[str, str], list[str]]:
    """Which news of it each group of a channel was given."""
    owed: dict[tuple[str, str], list[str]] = {}
    for told in story:
        for target in told.chapter.owed:
            owed.setdefault(target, []).append(told.key)
    return owed


async def _hush(store: WhyStore, channel: str, group: str, alert: str, story: Sequence[Told]) -> Hush | None:
    hushed = await store.hushed(channel, group)
    if not hushed:
        return None
    last = story[-1].chapter
    found = hushed.get(fingerprint(last.rule, last.record, last.subject)) or hushed.get(alert)
    return None if found is None or found.over else found
