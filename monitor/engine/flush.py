"""What to say to a channel's group now, and what is known once it was said. Pure.

Per alert the untold news fold into what the channel still has to hear (`fold.py`); alerts with the same to
hear share a message.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from monitor.engine.escalate import sifted, waiting
from monitor.engine.fold import Kind, fold
from monitor.engine.suppress import explained, holds, key_of, look_again, sift
from monitor.model.acked import Acked
from monitor.model.alert import SEVERITIES
from monitor.model.event import digest
from monitor.model.group import MESSAGE_MAX, REF_MAX, Group, Item, Message, MessageType, Numbered, Told
from monitor.model.record import Entry

_TYPES: Mapping[Kind, MessageType] = {
    "firing": "alert.firing",
    "fired again": "alert.firing",
    "updated": "alert.updated",
    "event": "alert.event",
    "fired and resolved": "alert.resolved",
    "resolved": "alert.resolved",
    "reminder": "alert.reminder",
}
#: At equal severity what is wrong comes first, what is over next, what was said before last.
_ORDER: tuple[Kind, ...] = tuple(_TYPES)
_CALM: frozenset[Kind] = frozenset({"fired and resolved", "resolved", "reminder"})


@dataclass(frozen=True, slots=True)
class Owed:
    """What a channel has to hear of one alert, or of one event.

    `kind` is None when there is nothing to hear and only `keys` to strike off; `over` says that the alert
    has ended for this channel, `acked` that it was acknowledged, which alone is not told.
    """

    fingerprint: str
    kind: Kind | None
    entries: tuple[Numbered, ...]
    keys: tuple[str, ...] = ()
    over: bool = False
    acked: Acked | None = None

    @property
    def rank(self) -> tuple[int, datetime]:
        """Worst first, then oldest."""
        last = self.entries[-1].entry
        return -SEVERITIES.index(last.severity), last.started_at or last.observed_at


def flush(group: Group, now: datetime, *, send_resolved: bool = True) -> Message | datetime | None:
    """The message to send now; or when there will be something to say; or None when only news can tell.

    A frozen message that may have arrived is returned as it is, and so is a failed one when nothing changed, and a dead
    letter that goes out again. What `group.hushed` holds back stays among the news, but for what will never be told.
    """
    if group.telling is not None and (not group.failed or group.replays):
        return group.telling
    message = _compose(group, now, send_resolved=send_resolved)
    if message is None:
        return _next_look(group, group.open, now)
    if group.telling is not None and _content(message) == _content(group.telling):
        return group.telling
    return message


def after_settle(
    group: Group, message: Message, now: datetime, ref: str = "", *, linger: bool = False
) -> tuple[dict[str, Told | None], datetime | None]:
    """What the channel knows once `message` arrived (None: forget the alert), and the next due time.

    `ref` is how the channel calls it; without one what it was called before stays. With `linger` it also knows what is
    over and what happened, events by the ids of their alerts: `beat.py` has them told again, and forgets them.
    """
    if group.replays:
        return {}, None
    told = _told(group, message, now, heard=True, ref=ref[:REF_MAX])
    if linger:
        told |= _lingering(message, now)
    return told, _due_next(group, message, told, now)


def after_bury(
    group: Group, message: Message, now: datetime, taken: frozenset[int] = frozenset()
) -> tuple[dict[str, Told | None], datetime | None]:
    """The same for a message that never arrived: its numbers are used up, unheard alerts stay unheard.

    Those at the places `taken` did arrive.
    """
    if group.replays:
        return {}, None
    told = _told(group, message, now, heard=False, taken=taken)
    return told, _due_next(group, message, told, now)


def dead_part(message: Message, taken: frozenset[int]) -> Message:
    """What is to be kept of a message that is buried: the alerts that did not arrive."""
    lost = tuple(one for place, one in enumerate(message.alerts) if place not in taken)
    return replace(message, alerts=lost) if lost else message


def _compose(group: Group, now: datetime, *, send_resolved: bool) -> Message | None:
    owed = tuple(_owed(group, now, send_resolved=send_resolved))
    silent = [one for one in owed if one.kind is None and (one.keys or one.over)]
    kind, chosen, left = _choose([one for one in owed if one.kind is not None])
    settled = [*chosen, *silent]
    if not settled:
        return None
    return Message(
        id=f"ntf_{digest(group.channel, group.id, str(group.version))}",
        type=_TYPES[kind or "resolved"],
        at=now,
        channel=group.channel,
        labels=group.labels,
        alerts=tuple(entry for one in chosen for entry in one.entries),
        truncated=_untold(group, chosen, left),
        keys=tuple(key for one in settled for key in one.keys),
        forget=tuple(one.fingerprint for one in settled if one.over),
        acked={one.fingerprint: one.acked for one in settled if one.acked},
    )


def _untold(group: Group, chosen: Sequence[Owed], left: int) -> int:
    """How many alerts a message leaves out: what did not fit or was not read, and events only counted."""
    if not chosen:
        return 0
    counted = sum(one.entry.more for owed in chosen for one in owed.entries)
    return left + counted + max(0, group.waiting - len(group.news))


def _choose(owed: Sequence[Owed]) -> tuple[Kind | None, list[Owed], int]:
    """The most urgent kind, the worst of it that fit into one message, and how many did not."""
    kinds: dict[Kind, list[Owed]] = {}
    for one in owed:
        if one.kind is not None:
            kinds.setdefault(one.kind, []).append(one)
    if not kinds:
        return None, [], 0

    def urgency(kind: Kind) -> tuple[bool, int, int]:
        return kind in _CALM, min(one.rank[0] for one in kinds[kind]), _ORDER.index(kind)

    kind = min(kinds, key=urgency)
    chosen: list[Owed] = []
    room = MESSAGE_MAX
    for one in sorted(kinds[kind], key=lambda one: one.rank):
        room -= len(one.entries)
        if room < 0:
            break
        chosen.append(one)
    left = len(kinds[kind]) - len(chosen)
    if kind == "firing":
        chosen = [*_replaced(kinds.get("resolved", ()), chosen)[: max(room, 0)], *chosen]
    return kind, chosen, left


def _replaced(ended: Sequence[Owed], begun: Sequence[Owed]) -> list[Owed]:
    """Those that ended because their rule was edited and tells these instead: one piece of news, not two."""
    rules = {one.entries[-1].entry.rule for one in begun}
    last = ((one, one.entries[-1].entry) for one in sorted(ended, key=lambda one: one.rank))
    return [one for one, entry in last if entry.reason == "superseded" and entry.rule in rules]


def _owed(group: Group, now: datetime, *, send_resolved: bool) -> Iterator[Owed]:
    by_alert: dict[str, list[Item]] = {}
    before: set[str] = set()
    for item in group.news:
        if item.news != "event":
            by_alert.setdefault(item.entry.fingerprint, []).append(item)
            continue
        # A movement before its correction: that one waits for the next message.
        if item.entry.id not in before and not holds(group, key_of(item)):
            yield _movement(group, item)
        before.add(item.entry.id)
    for fingerprint, items in by_alert.items():
        yield _story(group, fingerprint, items, now, send_resolved=send_resolved)
    for fingerprint, told in group.open.items():
        again_at = None if fingerprint in by_alert or holds(group, fingerprint) else told.again_at(group.repeat)
        if again_at is not None and again_at <= now:
            kind: Kind = "reminder" if told.heard else "firing"
            entry = explained(told.entry, group.hushed.get(fingerprint))
            yield Owed(fingerprint, kind, (Numbered(entry, told.sequence + 1, told.ref),))


def _story(group: Group, fingerprint: str, items: Sequence[Item], now: datetime, *, send_resolved: bool) -> Owed:
    """What the untold news of one alert come to."""
    told, hush = _knows(group, fingerprint), group.hushed.get(fingerprint)
    due = sifted(told, items, now, hush)
    kept, struck = sift(told, due.kept, hush) if hush else (due.kept, ())
    # Never heard of, and over without anybody hearing of it: it is forgotten.
    lost = told is not None and any(one.news == "resolved" and one.entry.id == told.entry.id for one in struck)
    if not kept or holds(group, fingerprint):
        return Owed(fingerprint, None, (), tuple(item.key for item in (*due.struck, *struck)), over=lost)
    folded = fold(None if lost else told, kept, send_resolved=send_resolved)
    first, ref = (told.sequence + 1, told.ref) if told else (1, "")
    entries = tuple(
        Numbered(explained(entry, hush), first + n, ref, _renamed(told, entry))
        for n, entry in enumerate(folded.entries)
    )
    keys = tuple(item.key for item in (*due.struck, *due.kept))
    return Owed(fingerprint, folded.kind, entries, keys, over=folded.over, acked=folded.acked)


def _movement(group: Group, item: Item) -> Owed:
    """Events are never collapsed: each is told by itself, once, as number 1, and so is each correction of it."""
    kind: Kind = "event" if item.entry.reason is None else "updated"
    event = item.entry.event
    number = 1 if event is None else event.revision + 1
    entry = explained(item.entry, group.hushed.get(key_of(item)))
    return Owed(item.entry.fingerprint, kind, (Numbered(entry, number),), (item.key,))


def _content(message: Message) -> tuple[object, ...]:
    # Not the facts: some are put in after it was composed, and what is new of others comes under a key of its own.
    alerts = tuple((told.entry.id, told.entry.status, told.sequence) for told in message.alerts)
    return (message.type, alerts, message.truncated, message.forget, frozenset(message.keys))


def _told(
    group: Group, message: Message, now: datetime, *, heard: bool, ref: str = "", taken: frozenset[int] = frozenset()
) -> dict[str, Told | None]:
    told: dict[str, Told | None] = {}
    for place, numbered in enumerate(message.alerts):
        entry = numbered.entry
        if entry.status == "resolved":
            told[entry.fingerprint] = None
        elif entry.status == "firing":
            before = _knows(group, entry.fingerprint)
            known = before is not None and before.heard and before.entry.id == entry.id
            arrived = heard or known or place in taken
            told[entry.fingerprint] = Told(entry, numbered.sequence, now, heard=arrived, ref=ref or numbered.ref)
    for fingerprint, acked in message.acked.items():
        if (before := _knows(group, fingerprint)) is not None:
            told[fingerprint] = replace(before, entry=replace(before.entry, acked=acked))
    return {**told, **dict.fromkeys(message.forget)}


def _lingering(message: Message, now: datetime) -> dict[str, Told]:
    found = {}
    for one in message.alerts:
        key = one.entry.id if one.entry.status == "event" else one.entry.fingerprint
        found[key] = Told(one.entry, one.sequence, now, ref=one.ref)
    return {key: told for key, told in found.items() if not told.fires}


def _knows(group: Group, fingerprint: str) -> Told | None:
    """What the channel was told of an alert that fires for it."""
    told = group.open.get(fingerprint)
    return told if told is not None and told.fires else None


def _renamed(told: Told | None, entry: Entry) -> Entry | None:
    """What the channel was told before, if the alert goes by other labels now."""
    if told is None or (told.entry.labels, told.entry.severity) == (entry.labels, entry.severity):
        return None
    return told.entry


def _due_next(group: Group, message: Message, told: Mapping[str, Told | None], now: datetime) -> datetime | None:
    settled = set(message.keys)
    known = {fingerprint: one for fingerprint, one in {**group.open, **told}.items() if one is not None}
    left = replace(group, news=tuple(item for item in group.news if item.key not in settled))
    early, _ = waiting(left, known, now)
    ready = (item for item in left.news if item.key not in early and not holds(left, key_of(item)))
    if group.waiting > len(group.news) or next(ready, None) is not None:
        # It did not fit, or is of another kind: it has waited long enough.
        return now
    return _next_look(left, known, now)


def _next_look(group: Group, known: Mapping[str, Told], now: datetime) -> datetime | None:
    """The next reminder, or when something may be told that is suppressed, or that may still be answered."""
    reminders = (told.again_at(group.repeat) for fingerprint, told in known.items() if not holds(group, fingerprint))
    _, until = waiting(group, known, now)
    return min((at for at in (*reminders, look_again(group, now), until) if at is not None), default=None)
