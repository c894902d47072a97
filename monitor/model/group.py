"""Messages to one channel's group: what is owed, what was told, and what to say next.

news arrive ─▶ due after `wait`, later every `interval` ─▶ frozen ─▶ sent ─▶ settled
                                                             ▲        └──▶ postponed (ladder), or buried
                                                             └── a crash sends it again, byte for byte
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from monitor.model.acked import Acked
from monitor.model.alert import News
from monitor.model.record import Entry

#: Most alerts in one message; the rest are counted in `truncated` and follow in the next.
MESSAGE_MAX = 100
#: Most untold news that are looked at together. Many more than fit into a message, because they fold: what one
#: alert went through while its channel was down is told as the state it is in now.
NEWS_READ_MAX = 1_000

#: The longest reference to a message that is kept.
REF_MAX = 500

MessageType = Literal[
    "alert.firing", "alert.updated", "alert.reminder", "alert.resolved", "alert.event", "test"
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Item:
    """Untold news of one alert. `key` is the row's number, `<version>-<index>` of its account's record.

    `not_before` is set in the group of an escalation's step: `Target.not_before`.
    """

    key: str
    news: News
    entry: Entry
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What this channel knows of one open alert: the last entry it was told, its number, and when.

    `heard` is False when every message about it so far was buried: it must still be told `firing` first.
    `ref` is the receipt's, of the message that told it last.
    """

    entry: Entry
    sequence: int
    at: datetime
    heard: bool = True
    ref: str = ""

    def again_at(self, repeat: timedelta) -> datetime | None:
        """When it is told again though nothing is new; never once it was acknowledged, if it was ever heard of."""
        return None if not self.fires or (self.entry.acked and self.heard) else self.at + repeat

    @property
    def fires(self) -> bool:
        """False of what is over, or has happened, and is kept for a while because its channel wants it told again."""
        return self.entry.status == "firing"


@dataclass(frozen=True, slots=True)
class Numbered:
    """An entry with its place in what one channel is told of one alert.

    `ref` is what the channel called the message that told of this alert before: to answer or to edit that one. `before`
    is what it was told then, if the alert had other labels or another severity: for whom those are the alert's name.
    """

    entry: Entry
    sequence: int
    ref: str = ""
    before: Entry | None = None


class Receipt(NamedTuple):
    """What a destination said when it took a message: its answer (cut), for `why`, and how it calls the message.

    `ref` is the channel's own business, at most REF_MAX long: nobody else reads it. It is kept for every alert of the
    message, and empty where a destination names nothing.
    """

    answer: str
    ref: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One notification to one channel, frozen: every attempt sends the same bytes under the same id.

    `keys` are the news it settles and `forget` the fingerprints that are closed for this channel although no
    entry says so. `acked` are the fingerprints of those that were acknowledged, which nobody is told but the group.
    One without alerts (and not of type `test`) is settled without being sent.
    """

    id: str
    type: MessageType
    at: datetime
    channel: str
    labels: Mapping[str, str]
    alerts: tuple[Numbered, ...]
    truncated: int = 0
    keys: tuple[str, ...] = ()
    forget: tuple[str, ...] = ()
    acked: Mapping[str, Acked] = field(default_factory=dict)


#: Who keeps news from being told: a silence, a mute of its route, or another alert.
HushKind = Literal["silenced", "muted", "inhibited"]


@dataclass(frozen=True, slots=True)
class Hush:
    """What keeps news of an alert from being told.

    `until` is None where nobody knows the end, and `watched` says that it may end before then: both are looked at
    again meanwhile. `by` is who said so and `why` what for. `over`: it has ended (at `until`, or earlier), and what it
    held back is still to be told.
    """

    kind: HushKind
    since: datetime
    until: datetime | None = None
    by: str = ""
    why: str = ""
    watched: bool = False
    over: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """A channel's group as claimed. `version` changes with every write; `token` is the claim's.

    `news` are untold, oldest first, at most NEWS_READ_MAX of `waiting`; `telling` is the frozen message and
    `attempts` how often it (or what it replaced) was tried since `failing_since`. `failed` says that the last
    try of `telling` was settled as a failure: then its items are back among the news, and it may be replaced.
    While it is False a frozen message may have arrived, so it goes out again as it is.
    `route` is the key of the route's node. `hushed` is what keeps news from being told that would be by now: of an
    alert by its fingerprint, of an event by its id.
    `replays` is set when `telling` is a dead letter that goes out again: the group it died in. Then nothing else is
    ever told here, and nothing is remembered of it.
    `together` is set when it was claimed with others that are to go out as one message. A group with `members` is such
    a message while it is out, a digest: `telling` is the whole, and each member keeps its own part frozen.
    """

    channel: str
    id: str
    version: int
    token: int
    labels: Mapping[str, str]
    interval: timedelta
    repeat: timedelta
    due_at: datetime
    news: tuple[Item, ...] = ()
    waiting: int = 0
    open: Mapping[str, Told] = field(default_factory=dict)
    telling: Message | None = None
    failed: bool = False
    attempts: int = 0
    failing_since: datetime | None = None
    why: str = ""
    route: str = ""
    hushed: Mapping[str, Hush] = field(default_factory=dict)
    replays: str = ""
    together: bool = False
    members: tuple[str, ...] = ()
