"""What was sent and what became of it: notifications, their attempts, and what has not arrived."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from monitor.model.group import MessageType

#: What is kept of a receiver's answer, or of an error.
SAID_MAX = 300

#: `failed` is tried again, `dead` only by a replay.
AttemptOutcome = Literal["sent", "failed", "dead"]

#: What became of a notification. `sending` is on its way or was when its process died, `replaced` was composed anew
#: after it had failed, `queued` is a dead one that goes out again.
NotificationState = Literal["sending", "sent", "failed", "dead", "replaced", "queued"]

#: What there is to see of deliveries, worst first. `waiting` has not been tried yet, `failing` is tried again by
#: itself, `dead` only by a replay.
DeliveryState = Literal["dead", "failing", "waiting", "sent"]
DELIVERY_STATES: tuple[DeliveryState, ...] = ("dead", "failing", "waiting", "sent")
#: What a list shows when nothing else is asked for: all that has gone wrong.
UNDONE: tuple[DeliveryState, ...] = ("dead", "failing")


class Tried(NamedTuple):
    """How one sending went: when it began, how long it took, and what the receiver answered (or why it failed)."""

    at: datetime
    took: timedelta
    said: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to send a notification. `said` is the receiver's answer or the error, at most SAID_MAX long."""

    at: datetime
    outcome: AttemptOutcome
    said: str
    took: timedelta


class Mention(NamedTuple):
    """An alert that a notification told of, as what, and the how manieth notification of it to that channel it was."""

    alert: str
    status: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Notification:
    """One message to one channel. `attempts` are the latest ones, oldest first, of `tried`."""

    id: str
    channel: str
    type: MessageType
    group: str
    at: datetime
    alerts: tuple[Mention, ...]
    state: NotificationState
    attempts: tuple[Attempt, ...] = ()
    tried: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a channel is owed or was sent. `id` is the notification's, which replaying takes.

    What waits has no notification yet: it goes by the name of its group. `at` is when it died, began to fail, is due,
    or was sent. `next_at` is when it is tried next by itself, None while
    it is being tried or as soon as somebody comes to it; of a channel that is held back it is when that is tried.
    """

    id: str
    notification_id: str | None
    channel: str
    state: DeliveryState
    at: datetime
    attempts: int = 0
    last_error: str = ""
    type: MessageType | None = None
    alerts: tuple[str, ...] = ()
    group: str = ""
    next_at: datetime | None = None


class Place(NamedTuple):
    """Where a delivery stands in a list: by state, newest first, then by name."""

    rank: int
    minus_us: int
    channel: str
    name: str


def rank(state: DeliveryState) -> int:
    """The worst state is 0."""
    return DELIVERY_STATES.index(state)


def last_error(attempts: Sequence[Attempt]) -> str:
    """Why the last attempt failed; empty when it did not."""
    return attempts[-1].said if attempts and attempts[-1].outcome != "sent" else ""
