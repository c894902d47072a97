"""What the API answers, as types: the checker holds the views to them, and the OpenAPI document is written from them.

Every key is always there; what is not known is null.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Generic, Literal, TypedDict, TypeVar

from msgspec import Meta

from monitor.model.alert import DataFlag, Severity, State
from monitor.model.event import Direction
from monitor.model.group import HushKind, MessageType
from monitor.model.ledger import AttemptOutcome, DeliveryState, NotificationState
from monitor.model.snapshot import OutageKind
from monitor.model.story import What

#: UTC with milliseconds: `2026-11-20T12:00:00.000Z`.
Stamp = Annotated[
    str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", extra_json_schema={"format": "date-time"})
]
#: An exact decimal, never a float.
AmountText = Annotated[str, Meta(pattern=r"^-?\d+(\.\d+)?$")]
Count = Annotated[int, Meta(ge=0)]
Labels = Mapping[str, str]
#: An alert that is over has `dropped` (it ended before it fired) or is an `event`; `unknown`: only its notifications
#: are left.
StoryState = Literal["pending", "firing", "resolved", "dropped", "event", "unknown"]
#: `never`: no good reading yet; `failing`: the last poll failed.
Status = Literal["never", "stale", "failing", "ok"]

Item = TypeVar("Item")


class Page(TypedDict, Generic[Item]):
    """One page of a list. `next_cursor` is what `cursor` takes to go on; null on the last one."""

    items: Sequence[Item]
    next_cursor: str | None


class Well(TypedDict):
    """The process answers."""

    status: Literal["ok"]


class CheckShown(TypedDict):
    """One condition of being ready."""

    name: str
    ok: bool
    detail: str


class Ready(TypedDict):
    """All of it works."""

    status: Literal["ready"]
    checks: Sequence[CheckShown]


class Acknowledged(TypedDict):
    """Who looks after an alert, since when, and what they said."""

    by: str
    at: Stamp
    comment: str


class AlertShown(TypedDict):
    """One alert as it stands, about whom messages say; `data` says how far its facts can be trusted."""

    id: str
    fingerprint: str
    state: State
    severity: Severity
    rule: str
    rule_type: str
    provider: str
    account: str
    asset: str | None
    measure: str | None
    value: AmountText | None
    previous: AmountText | None
    threshold: AmountText | None
    unit: str | None
    data: DataFlag
    flapping: bool
    labels: Labels
    details: Mapping[str, str]
    pending_since: Stamp
    started_at: Stamp | None
    observed_at: Stamp
    acknowledged: Acknowledged | None


class Failure(TypedDict):
    """Since when polls fail, and how the last one did."""

    since: Stamp
    kind: OutageKind | None
    why: str | None


class Known(TypedDict):
    """What was last read of an account: `amounts` by asset and measure, `usd` what the provider says they are worth."""

    observed_at: Stamp | None
    as_of: Stamp | None
    age_ms: Count | None
    amounts: Mapping[str, Mapping[str, AmountText]]
    usd: Mapping[str, AmountText]
    seen_at: Mapping[str, Stamp]
    missing: Sequence[str]
    missing_why: str | None


class AccountShown(Known):
    """One account: what is known, how old that is, what is wrong, and when it is looked at again.

    `next_poll_at` is null while it is being polled. One that is not `configured` was made at run time, and ends
    by itself at `expires_at` if that is set.
    """

    id: str
    provider: str
    configured: bool
    expires_at: Stamp | None
    labels: Labels
    status: Status
    next_poll_at: Stamp | None
    failure: Failure | None
    alerts: Sequence[AlertShown]


class Removed(TypedDict):
    """The account is watched no more."""

    id: str
    status: Literal["removed"]


class Scheduled(TypedDict):
    """The account is due now; what comes of it is not waited for."""

    status: Literal["scheduled"]


class Announced(TypedDict):
    """How much of a movement an expected transfer accounts for."""

    by: str
    amount: AmountText


class EventShown(TypedDict):
    """One ledger movement; `late` marks one that was found after a gap, `expected` what was announced of it."""

    id: str
    asset: str
    kind: str
    direction: Direction | None
    amount: AmountText
    balance_after: AmountText | None
    occurred_at: Stamp
    reference: str | None
    late: bool
    reverted: bool
    imported: bool
    to: Sequence[str]
    expected: Sequence[Announced]


class PointShown(TypedDict):
    """One point of a series."""

    at: Stamp
    value: AmountText


class HushShown(TypedDict):
    """What keeps news from being told."""

    kind: HushKind
    by: str
    why: str
    since: Stamp
    until: Stamp | None


class ChapterShown(TypedDict):
    """One change of an alert, and the channels that were to hear of it."""

    at: Stamp
    what: What
    rule: str
    account: str
    asset: str | None
    severity: Severity
    value: AmountText | None
    threshold: AmountText | None
    measure: str | None
    unit: str | None
    observed_at: Stamp
    reason: str | None
    data: DataFlag
    note: str
    channels: Sequence[str]


class AttemptShown(TypedDict):
    """One attempt to send a notification, and what the receiver answered."""

    at: Stamp
    outcome: AttemptOutcome
    answer: str
    took_ms: Count


class MentionShown(TypedDict):
    """An alert that a notification told of, as what, and the how manieth notification of it to that channel it was."""

    alert: str
    status: str
    sequence: int


class NotificationShown(TypedDict):
    """One message to one channel with its latest attempts, of `tried`."""

    id: str
    channel: str
    type: MessageType
    at: Stamp
    state: NotificationState
    alerts: Sequence[MentionShown]
    tried: Count
    attempts: Sequence[AttemptShown]


class UntoldShown(TypedDict):
    """A channel that is yet to hear of an alert, and what it waits for."""

    channel: str
    suppressed: HushShown | None


class StoryShown(TypedDict):
    """All that is known of an alert. `alert` is as in the list of open ones, null when it is over (or nobody watches
    its account any more); `untold` is what channels have yet to hear."""

    id: str
    state: StoryState
    alert: AlertShown | None
    history: Sequence[ChapterShown]
    notifications: Sequence[NotificationShown]
    untold: Sequence[UntoldShown]


class DeliveryShown(TypedDict):
    """What a channel is owed or was sent."""

    id: str
    notification_id: str | None
    channel: str
    state: DeliveryState
    attempts: Count
    last_error: str | None
    at: Stamp
    next_at: Stamp | None
    type: MessageType | None
    alerts: Sequence[str]


class Replayed(TypedDict):
    """It goes out as soon as its channel takes it."""

    id: str
    channel: str
    state: Literal["waiting"]
