"""What the channels hear in a rule test: groups as the store keeps them, on a virtual clock, and all arrives.

The timings are those of store/lua/group.lua; there are no leases, for nobody else delivers, and no failures.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from monitor.engine.flush import after_settle, flush
from monitor.engine.suppress import NOTHING_SUPPRESSED, Suppressor, holds, key_of
from monitor.model.group import NEWS_READ_MAX, Group, Item, Message
from monitor.model.record import Row
from monitor.model.target import Target
from monitor.virtual import at_once

#: What people are told of an alert.
Kind = Literal["firing", "updated", "reminder", "resolved", "event"]

#: Told in one test; a story of years with a reminder a second would never end.
REMINDERS_MAX = 1_000

_KINDS: Mapping[str, Kind] = {
    "alert.firing": "firing",
    "alert.updated": "updated",
    "alert.reminder": "reminder",
    "alert.resolved": "firing",
}


@dataclass(frozen=True, slots=True)
class Heard:
    """One alert in one message to one channel; alerts of one message share its id. `number` is its `sequence`."""

    at: datetime
    channel: str
    kind: Kind
    alert: str
    asset: str
    account: str
    fingerprint: str
    message: str
    number: int


@dataclass(slots=True)
class _Held:
    group: Group
    news: list[Item] = field(default_factory=list)
    live: set[str] = field(default_factory=set)
    due_at: datetime | None = None
    flushed_at: datetime | None = None
    #: The last alert ended: that is told at once.
    ended: bool = False

    def owes(self) -> bool:
        """Whether there is something to tell that is not suppressed, as far as is known."""
        return any(not holds(self.group, key_of(item)) for item in self.news)

    def next_flush(self, now: datetime) -> datetime:
        if self.ended or self.flushed_at is None:
            return now
        return max(now, self.flushed_at + self.group.interval)


@dataclass(slots=True)
class Inbox:
    """All channels of a test. `send_resolved` is channel → its setting, true where it says nothing.

    What `suppress` finds out must not take any time.
    """

    send_resolved: Mapping[str, bool] = field(default_factory=dict)
    reminders_max: int = REMINDERS_MAX
    suppress: Suppressor = NOTHING_SUPPRESSED
    heard: list[Heard] = field(default_factory=list)
    _groups: dict[tuple[str, str], _Held] = field(default_factory=dict)
    _rows: int = 0
    _reminders: int = 0
    _until: datetime | None = None

    def owe(self, rows: Iterable[Row], now: datetime) -> None:
        """Give rows to the groups of their targets."""
        for row in rows:
            self._rows += 1
            for target in row.targets:
                self._add(target, Item(f"{self._rows}-0", row.news, row.entry, target.not_before), now)

    def deliver(self, until: datetime) -> None:
        """Send what is due by then, each at its time."""
        self._until = until
        while due := [held for held in self._groups.values() if held.due_at is not None and held.due_at <= until]:
            self._tell(min(due, key=lambda held: held.due_at or until))

    def drain(self) -> None:
        """Send what is still owed; reminders are not, nor what may still be answered or is suppressed at the end."""
        for held in self._groups.values():
            held.news = [item for item in held.news if not self._may_be_answered(item)]
        while owing := [held for held in self._groups.values() if held.owes()]:
            self._tell(min(owing, key=_due))

    def _may_be_answered(self, item: Item) -> bool:
        return item.not_before is not None and self._until is not None and item.not_before > self._until

    def _add(self, target: Target, item: Item, now: datetime) -> None:
        held = self._groups.setdefault((target.channel, target.group), _Held(fresh_group(target, now)))
        if not (held.news or held.live or held.group.open):
            # As good as new: it waits for company again.
            held.flushed_at, held.ended = None, False
        if item.news == "resolved":
            held.live.discard(item.entry.fingerprint)
            held.ended = held.ended or not held.live
        elif item.news not in ("event", "acked"):
            held.live.add(item.entry.fingerprint)
            held.ended = False
        held.news.append(item)
        due_at = max(now + target.wait, target.not_before or now) if held.flushed_at is None else held.next_flush(now)
        held.due_at = min(held.due_at or due_at, due_at)

    def _tell(self, held: _Held) -> None:
        now = _due(held)
        if not held.news and self._reminders >= self.reminders_max:
            held.due_at = None
            return
        group = at_once(self.suppress(self._seen(held), now))
        held.group = replace(held.group, hushed=group.hushed)
        message = flush(group, now, send_resolved=self.send_resolved.get(group.channel, True))
        if not isinstance(message, Message):
            held.due_at = message
            return
        self._reminders += not held.news
        self.heard += _entries(message, now)
        held.news = [item for item in held.news if item.key not in message.keys]
        held.flushed_at = now if message.alerts else held.flushed_at
        held.ended = held.ended and bool(held.news)
        left = self._seen(held)
        told, due_at = after_settle(left, message, now)
        known = {name: one for name, one in {**group.open, **told}.items() if one is not None}
        hushed = {key: hush for key, hush in group.hushed.items() if key not in told}
        held.group = replace(held.group, open=known, version=group.version + 1, hushed=hushed)
        flush_at = held.next_flush(now) if held.news else None
        held.due_at = min((at for at in (due_at, flush_at) if at is not None), default=None)

    def _seen(self, held: _Held) -> Group:
        """All that it owes: nothing that is suppressed hides what is behind it."""
        size = len(held.news) if self.suppress.sources else NEWS_READ_MAX
        return replace(held.group, news=tuple(held.news[:size]), waiting=len(held.news))


def _due(held: _Held) -> datetime:
    assert held.due_at is not None, "whoever owes news is due some time"
    return held.due_at


def _entries(message: Message, now: datetime) -> Iterable[Heard]:
    for numbered in message.alerts:
        entry = numbered.entry
        kind: Kind = _KINDS.get(message.type, "event") if entry.status == "firing" else entry.status
        if entry.status == "event" and entry.reason is not None:
            # What was told of an event turned out not to be so.
            kind = "updated"
        asset, number = entry.asset or "", numbered.sequence
        yield Heard(now, message.channel, kind, entry.rule, asset, entry.account, entry.fingerprint, message.id, number)


def fresh_group(target: Target, now: datetime) -> Group:
    """A group that has told nothing yet."""
    return Group(
        channel=target.channel,
        id=target.group,
        version=1,
        token=0,
        labels=target.labels,
        interval=target.interval,
        repeat=target.repeat,
        due_at=now,
        route=target.route,
    )
