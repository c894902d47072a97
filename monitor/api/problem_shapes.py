"""What a problem says, as types: the OpenAPI document is written from them."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

from monitor.api.shapes import AmountText, CheckShown, Stamp
from monitor.guard.hold import State as HoldState
from monitor.guard.reasons import Reason


class HoldConcerned(TypedDict):
    """The hold that a problem is about: its id, and what is known of it."""

    id: str
    state: NotRequired[HoldState]
    amount: NotRequired[AmountText | None]
    expires_at: NotRequired[Stamp | None]
    returned: NotRequired[AmountText]
    reason: NotRequired[Reason]


class ProblemShown(TypedDict):
    """What was not done, and why (RFC 9457). `type` is what to go by, `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str
    checks: NotRequired[Sequence[CheckShown]]
    decision_id: NotRequired[str]
    hold: NotRequired[HoldConcerned]
    safe_to_retry: NotRequired[bool]
