"""How alerts' stories, notifications and deliveries look from outside: JSON-ready values. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from monitor.api.shapes import (
    AttemptShown,
    ChapterShown,
    DeliveryShown,
    HushShown,
    NotificationShown,
    StoryShown,
    StoryState,
    UntoldShown,
)
from monitor.api.views import alert_view, stamp
from monitor.engine.notice import Rules
from monitor.engine.why import Untold, Whole
from monitor.model.alert import State
from monitor.model.group import Hush
from monitor.model.ledger import Attempt, Delivery, Notification
from monitor.model.money import text
from monitor.model.record import Account
from monitor.model.story import Told
from monitor.redact import redact

_MILLISECOND = timedelta(milliseconds=1)
_OPEN: Mapping[State, StoryState] = {
    State.PENDING: "pending", State.FIRING: "firing", State.RESOLVED: "resolved",
}  # fmt: skip
_OVER: Mapping[str, StoryState] = {"resolved": "resolved", "dropped": "dropped", "event": "event"}


def whole_view(found: Whole, account: Account | None, now: datetime, rules: Rules) -> StoryShown:
    """All that is known of an alert. `alert` is as in the list of open ones, null when it is over (or nobody watches
    its account any more); `untold` is what channels have yet to hear."""
    return {
        "id": found.id,
        "state": state_of(found),
        "alert": alert_view(found.alert, account, now, rules) if found.alert and account else None,
        "history": [chapter_view(told) for told in found.story],
        "notifications": [notification_view(one, found.id) for one in found.notifications],
        "untold": [_untold_view(one) for one in found.untold],
    }


def state_of(found: Whole) -> StoryState:
    """One word: `pending`, `firing`, `resolved`, `dropped` (it ended before it fired), `event`; `unknown` when only its
    notifications are left."""
    if found.alert is not None:
        return _OPEN[found.alert.state]
    last = found.story[-1].chapter.what if found.story else "unknown"
    return _OVER.get(last, "unknown")


def chapter_view(told: Told) -> ChapterShown:
    """One change of an alert, and the channels that were to hear of it."""
    one = told.chapter
    return {
        "at": stamp(told.at),
        "what": one.what,
        "rule": one.rule,
        "account": one.account,
        "asset": one.asset or None,
        "severity": one.severity,
        "value": _maybe(one.value),
        "threshold": _maybe(one.threshold),
        "measure": one.measure,
        "unit": one.unit,
        "observed_at": stamp(one.observed_at),
        "reason": one.reason,
        "data": one.data,
        "note": redact(one.note),
        "channels": list(dict.fromkeys(channel for channel, _ in one.owed)),
    }


def notification_view(one: Notification, alert: str | None = None) -> NotificationShown:
    """One message to one channel with its attempts; `alerts` are those it told of, or only the one asked for."""
    return {
        "id": one.id,
        "channel": one.channel,
        "type": one.type,
        "at": stamp(one.at),
        "state": one.state,
        "alerts": [
            {"alert": told.alert, "status": told.status, "sequence": told.sequence}
            for told in one.alerts
            if alert in (None, told.alert)
        ],
        "tried": one.tried,
        "attempts": [_attempt_view(tried) for tried in one.attempts],
    }


def delivery_view(one: Delivery) -> DeliveryShown:
    """What a channel is owed or was sent."""
    return {
        "id": one.id,
        "notification_id": one.notification_id,
        "channel": one.channel,
        "state": one.state,
        "attempts": one.attempts,
        "last_error": redact(one.last_error) or None,
        "at": stamp(one.at),
        "next_at": stamp(one.next_at),
        "type": one.type,
        "alerts": list(one.alerts),
    }


def _attempt_view(one: Attempt) -> AttemptShown:
    return {
        "at": stamp(one.at),
        "outcome": one.outcome,
        "answer": redact(one.said),
        "took_ms": one.took // _MILLISECOND,
    }


def _untold_view(one: Untold) -> UntoldShown:
    return {"channel": one.channel, "suppressed": None if one.hush is None else hush_view(one.hush)}


def hush_view(hush: Hush) -> HushShown:
    """What keeps news from being told."""
    since, until = stamp(hush.since), stamp(hush.until)
    return {"kind": hush.kind, "by": hush.by, "why": redact(hush.why), "since": since, "until": until}


def _maybe(value: Decimal | None) -> str | None:
    return None if value is None else text(value)
