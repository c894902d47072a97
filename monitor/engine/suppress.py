"""What is not told now although it is news: what is silenced, muted or inhibited. All three are called suppressed.

Suppressed news stay news, and a send that was suppressed never counts as sent. What still fires when the suppression
ends is told then, once, and says so; what began and ended meanwhile is struck off untold; what was told before and
ended meanwhile is told resolved. Events wait like everything else. In doubt, we send.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from monitor.errors import StoreUnavailable
from monitor.model.group import Group, Hush, Item, Told
from monitor.model.record import Entry

#: How often it is looked whether a suppression goes on whose end nobody knows: each `group_interval` within these.
LOOK_MIN, LOOK_MAX = timedelta(seconds=1), timedelta(minutes=1)
_MOMENT = timedelta(milliseconds=1)

log = structlog.get_logger("monitor.suppress")


class Source(Protocol):
    """One reason to suppress."""

    async def __call__(self, group: Group, entries: Sequence[Entry], now: datetime) -> Mapping[str, Hush]:
        """Of these alerts of a group, each as it stands: id → what keeps it from being told."""
        ...


@dataclass(frozen=True, slots=True)
class Suppressor:
    """Finds out what is suppressed in a group. Where several reasons hold, the earlier source is said."""

    sources: tuple[Source, ...] = ()

    async def __call__(self, group: Group, now: datetime) -> Group:
        """The group with `hushed` as it is now. A source that fails suppresses nothing."""
        if group.telling is not None and not group.failed:
            # It may have arrived, so it goes out again whatever holds now.
            return group
        entries = [entry for _, entry in _waiting(group, now)]
        found: dict[str, Hush] = {}
        for source in reversed(self.sources) if entries else ():
            found |= await _asked(source, group, entries, now)
        return attended(group, found, now)


NOTHING_SUPPRESSED = Suppressor()


async def _asked(source: Source, group: Group, entries: Sequence[Entry], now: datetime) -> Mapping[str, Hush]:
    try:
        return await source(group, entries, now)
    except StoreUnavailable as error:
        log.warning("suppression.unknown", channel=group.channel, group=group.id, why=str(error))
    except Exception as bug:  # noqa: BLE001  # what it was doing is in the log
        # Bulkhead: a bug in a reason to be quiet must not keep alerts from people.
        log.error("suppression.bug", channel=group.channel, group=group.id, bug=type(bug).__name__)
    return {}


def attended(group: Group, found: Mapping[str, Hush], now: datetime) -> Group:
    """The group with what is suppressed by now, and with what was until now and has not been told since.

    `found` is alert id → what suppresses it.
    """
    hushed: dict[str, Hush] = {}
    for key, entry in _waiting(group, now):
        before, hush = group.hushed.get(key), found.get(entry.id)
        if hush is not None and (hush.until is None or hush.until > now):
            hushed[key] = _still(before, hush)
        elif before is not None:
            hushed[key] = before if before.over else replace(before, over=True, until=min(before.until or now, now))
    return group if hushed == group.hushed else replace(group, hushed=hushed)


def _still(before: Hush | None, hush: Hush) -> Hush:
    """The same suppression began when it was first noticed, or when it says."""
    if before is None or before.over or (before.kind, before.by, before.why) != (hush.kind, hush.by, hush.why):
        return hush
    return replace(hush, since=min(before.since, hush.since))


def _waiting(group: Group, now: datetime) -> Iterator[tuple[str, Entry]]:
    """What a group would tell, by the key of `Group.hushed`: every event, every other alert as it stands."""
    found = {key_of(item): item.entry for item in group.news}
    yield from found.items()
    for fingerprint, told in group.open.items():
        again_at = None if fingerprint in found else told.again_at(group.repeat)
        if again_at is not None and again_at <= now:
            yield fingerprint, told.entry


def key_of(item: Item) -> str:
    """Under which name `Group.hushed` has what suppresses this."""
    return item.entry.id if item.news == "event" else item.entry.fingerprint


def holds(group: Group, key: str) -> bool:
    """Whether this must not be told now."""
    hush = group.hushed.get(key)
    return hush is not None and not hush.over


def free(group: Group) -> int:
    """How many of the news that were read may be told."""
    return sum(not holds(group, key_of(item)) for item in group.news) if group.hushed else len(group.news)


def look_again(group: Group, now: datetime) -> datetime | None:
    """When something that is suppressed may be so no longer; None when nothing is."""
    every = min(max(group.interval, LOOK_MIN), LOOK_MAX)
    return min((_ends(hush, now, every) for hush in group.hushed.values() if not hush.over), default=None)


def _ends(hush: Hush, now: datetime, every: timedelta) -> datetime:
    if hush.until is None:
        return now + every
    end = max(hush.until, now + _MOMENT)
    return min(end, now + every) if hush.watched else end


def sift(told: Told | None, items: Sequence[Item], hush: Hush) -> tuple[list[Item], list[Item]]:
    """The news of one alert that was suppressed: what is still worth telling, and what never will be."""
    known = told.entry.id if told is not None and told.heard else None
    ended = {item.entry.id for item in items if item.news == "resolved" and _meanwhile(item.entry, hush)} - {known}
    kept, struck = _split(items, [item.entry.id in ended for item in items])
    if hush.over:
        return kept, struck
    # Nobody will hear the way there, so a long suppression keeps no more than where it has got to.
    passed, later = [], set[str]()
    for item in reversed(kept):
        passed.append(item.news != "resolved" and item.entry.id in later)
        if item.news not in ("reminder", "acked"):
            later.add(item.entry.id)
    kept, superseded = _split(kept, passed[::-1])
    return kept, [*struck, *superseded]


def _meanwhile(entry: Entry, hush: Hush) -> bool:
    """Whether it ended while it was suppressed."""
    ended = entry.resolved_at or entry.observed_at
    return not hush.over or hush.until is None or ended <= hush.until


def _split(items: Sequence[Item], drop: Sequence[bool]) -> tuple[list[Item], list[Item]]:
    pairs = list(zip(items, drop, strict=True))
    return [item for item, gone in pairs if not gone], [item for item, gone in pairs if gone]


def explained(entry: Entry, hush: Hush | None) -> Entry:
    """The entry, saying why it is told only now, if what ended had held it back."""
    if hush is None or not hush.over or entry.status == "resolved":
        return entry
    began = entry.observed_at if entry.status == "event" else entry.started_at or entry.observed_at
    if hush.until is not None and began > hush.until:
        return entry
    caveat = entry.annotations.get("caveat", "")
    if sentence(hush) in caveat:
        return entry
    parts = (sentence(hush), caveat)
    return replace(entry, annotations={**entry.annotations, "caveat": "; ".join(part for part in parts if part)})


def was_held(group: Group, entry: Entry) -> bool:
    """Whether this is told only now because something that has ended held it back: what it says may be old."""
    hush = group.hushed.get(entry.fingerprint)
    return hush is not None and hush.over and entry.status == "firing"


def sentence(hush: Hush) -> str:
    """`silenced since 2026-11-20T12:00:00Z by maria: key rotation`"""
    by = f" by {hush.by}" if hush.by else ""
    return f"{hush.kind} since {hush.since:%Y-%m-%dT%H:%M:%SZ}{by}{f': {hush.why}' if hush.why else ''}"
