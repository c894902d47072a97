"""An alert: one subject of one rule over time.

    bad          held for `wait`            good for `keep`
    ───▶ PENDING ───────────────▶ FIRING ───────────────▶ RESOLVED
            └──▶ forgotten, silently  ▲ │
                 (good)               └─┘ bad again while keeping; levels rise at once and fall after `keep`

Not knowing moves nothing: both timers pause until somebody is told again. What flaps is held FIRING.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from monitor.model.acked import Acked
from monitor.model.damping import Timing, Turns
from monitor.model.event import Event, digest
from monitor.model.target import Target

Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
_RANK: Mapping[Severity | None, int] = {None: -1, "info": 0, "warning": 1, "critical": 2}

#: What a notification says about an alert.
News = Literal["firing", "updated", "reminder", "resolved", "event", "acked", "inhibits"]
#: How far the facts behind an alert can be trusted.
DataFlag = Literal["ok", "stale", "error", "unknown"]
Reason = Literal["recovered", "rule_removed", "account_removed", "watch_expired", "superseded", "no_data"]

_NO_TIME = timedelta(0)
_NOTHING: Mapping[Any, Any] = {}


def worst(*levels: Severity | None) -> Severity | None:
    """The highest of some levels; None is below them all."""
    return max(levels, key=_RANK.__getitem__)


def mildest(*levels: Severity | None) -> Severity | None:
    """The lowest of some levels; None is below them all."""
    return min(levels, key=_RANK.__getitem__)


class State(StrEnum):
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


class Verdict(NamedTuple):
    """What a rule says of one subject it could judge.

    `bad` is the worst level whose condition holds; `held` the worst level from which it has not recovered
    (for a rule with one level and no hysteresis both are that level, or both None). A subject that is not
    named in a judgement keeps its alert exactly as it is: missing is not recovered. With `data` other than ok
    nothing was read: the rule's `on_no_data` speaks, and the facts are those last known; `unknown` says that it
    could be either, and holds the alert. `labels` are those of a sum over accounts, which has none of their own.
    """

    # A tuple, because every poll makes one per rule and asset: a frozen dataclass costs four times as much.
    subject: str
    bad: Severity | None
    held: Severity | None
    value: Decimal | None = None
    previous: Decimal | None = None
    thresholds: Mapping[Severity, Decimal] = _NOTHING
    measure: str | None = None
    unit: str | None = None
    details: Mapping[str, str] = _NOTHING
    data: DataFlag = "ok"
    labels: Mapping[str, str] = _NOTHING


@dataclass(frozen=True, slots=True)
class EventVerdict:
    """One event that a rule wants told. It fires once, under the event's id, and never resolves."""

    event: Event
    severity: Severity
    value: Decimal
    threshold: Decimal | None = None
    measure: str | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """The stored state of an open alert.

    `waited` counts towards `for`, `kept` towards `keep_firing_for` while `calm` says that window is running;
    `eased` is the worst level seen within it, None when all of it was good. `counted_at` is None while both
    timers pause. `told` is the value of its newest news. `turns` are its latest changes, of earlier episodes too; while
    they are so many that it is `flapping` it is held as firing, and `swing` is the level it would have. `labels` are
    those of a sum; `told_labels` those people were told, which outlive account and rule. `acked` lasts until it ends
    or its level rises. `inhibits`: others are kept quiet while it fires."""

    fingerprint: str
    id: str
    rule: str
    subject: str
    state: State
    severity: Severity
    pending_since: datetime
    observed_at: datetime
    waited: timedelta = _NO_TIME
    kept: timedelta = _NO_TIME
    calm: bool = False
    counted_at: datetime | None = None
    started_at: datetime | None = None
    resolved_at: datetime | None = None
    reason: Reason | None = None
    value: Decimal | None = None
    previous: Decimal | None = None
    threshold: Decimal | None = None
    measure: str | None = None
    unit: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    data: DataFlag = "ok"
    targets: tuple[Target, ...] = ()
    rule_type: str = ""
    eased: Severity | None = None
    told: Decimal | None = None
    turns: Turns = ()
    flapping: bool = False
    swing: Severity | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    told_labels: Mapping[str, str] = field(default_factory=dict)
    acked: Acked | None = None
    inhibits: bool = False


def fingerprint(rule: str, account: str, subject: str) -> str:
    """One name for (rule, subject), for ever."""
    return digest("alert", rule, account, subject)[:16]


def opened(
    rule: str, rule_type: str, account: str, subject: str, version: int, level: Severity, now: datetime
) -> Alert:
    """A new episode. Version and time make its id unique, also in a store that was emptied and counts anew."""
    name = fingerprint(rule, account, subject)
    return Alert(
        fingerprint=name,
        id=f"alr_{digest(name, str(version), now.isoformat())}",
        rule=rule,
        rule_type=rule_type,
        subject=subject,
        state=State.PENDING,
        severity=level,
        pending_since=now,
        observed_at=now,
        counted_at=now,
    )


def advance(alert: Alert, verdict: Verdict, timing: Timing, now: datetime) -> tuple[Alert | None, News | None]:
    """Move an open alert by one judgement. None for the alert means it never mattered: forget it."""
    assert alert.state is not State.RESOLVED, "a resolved alert is closed and cannot advance"
    if alert.flapping:
        moved, news = _swing(alert, verdict, timing, now)
    else:
        moved, news = _judged(alert, verdict, timing, now)
        if moved is not None and news is not None:
            moved, news = _turned(alert, moved, news, verdict, timing, now)
    if moved is None:
        return None, None
    if news is None and verdict.held is not None and moved.state is State.FIRING and timing.renotify is not None:
        news = "updated" if timing.renotify.due(moved.told, moved.value) else None
    if news is not None or moved.told is None:
        moved = replace(moved, told=moved.value)
    return moved, news


def _turned(
    before: Alert, alert: Alert, news: News, verdict: Verdict, timing: Timing, now: datetime
) -> tuple[Alert, News]:
    """Count a change; with one too many the alert is held as firing, at the worst level it has or had."""
    turns = timing.flap.add(alert.turns, now, turned=True)
    if not timing.flap.flaps(turns):
        return replace(alert, turns=turns), news
    level = alert.severity if alert.state is State.FIRING else None
    details = {**alert.details, "flapping": "held"}
    held = replace(alert, turns=turns, flapping=True, swing=_level(before, verdict), details=details)
    if news == "firing" or worst(level, before.severity) == level:
        return held, news
    if level is None or not alert.calm:
        # Calmer for all of `keep` already: that is not to be waited for again.
        held = replace(held, calm=True, kept=timing.keep, eased=level)
    return replace(held, state=State.FIRING, severity=before.severity, resolved_at=None, reason=None), "updated"


def _level(alert: Alert, verdict: Verdict) -> Severity | None:
    """What a judgement makes of the level an alert has, were it to follow at once."""
    return worst(verdict.bad, mildest(alert.severity, verdict.held))


def _swing(alert: Alert, verdict: Verdict, timing: Timing, now: datetime) -> tuple[Alert | None, News | None]:
    """A flapping alert goes on counting what it would do; once that is calm, what it then is is told."""
    level = worst(verdict.bad, mildest(alert.swing, verdict.held))
    turns = timing.flap.add(alert.turns, now, turned=level != alert.swing)
    calm = timing.flap.calm(turns)
    alert = replace(alert, turns=turns, swing=None if calm else level, flapping=not calm)
    moved, news = _judged(alert, verdict, timing, now)
    assert moved is not None, "what flaps has fired, and is not forgotten"
    details = {**moved.details, "flapping": "over" if calm else "held"}
    return replace(moved, details=details), news or ("updated" if calm else None)


def _judged(alert: Alert, verdict: Verdict, timing: Timing, now: datetime) -> tuple[Alert | None, News | None]:
    """What one judgement does to an alert; nothing makes one milder that is flapping."""
    if alert.state is State.PENDING:
        return _wait(alert, verdict, timing, now)
    level = _level(alert, verdict)
    if _RANK[level] >= _RANK[alert.severity]:
        assert level is not None
        risen = level != alert.severity
        # What is worse than what somebody has taken care of, nobody has.
        acked = None if risen else alert.acked
        alert = replace(alert, severity=level, calm=False, kept=_NO_TIME, eased=None, acked=acked)
        return _seen(alert, verdict, now), "updated" if risen else None
    return _ease(alert, level, verdict, timing, now)


def _ease(
    alert: Alert, level: Severity | None, verdict: Verdict, timing: Timing, now: datetime
) -> tuple[Alert, News | None]:
    """A firing alert judged calmer than it is: after `keep` it falls to the worst seen meanwhile."""
    # The window starts with the first calmer reading, so that one adds nothing.
    kept = alert.kept + _elapsed(alert, timing, now) if alert.calm else _NO_TIME
    # A window of no length holds this reading alone.
    seen = worst(level, alert.eased) if alert.calm and timing.keep else level
    if alert.flapping and kept >= timing.keep and level != seen:
        # Nothing becomes milder for it, but that window is over.
        kept, seen = _NO_TIME, level
    if kept < timing.keep or alert.flapping:
        return _seen(replace(alert, calm=True, kept=kept, eased=seen), verdict, now), None
    if seen is None:
        reason: Reason = "recovered" if verdict.data == "ok" else "no_data"
        done = replace(alert, state=State.RESOLVED, resolved_at=now, reason=reason)
        return _seen(done, verdict, now), "resolved"
    # Good only lately: that was a window of the milder level, and the next window begins here.
    fallen = replace(alert, severity=seen, calm=level != seen, kept=_NO_TIME, eased=None if level == seen else level)
    return _seen(fallen, verdict, now), "updated"


def pause(alert: Alert, data: DataFlag) -> Alert:
    """Nothing is known: stop the timers, keep everything else."""
    paused = alert.counted_at is None and alert.data == data
    return alert if paused else replace(alert, counted_at=None, data=data)


def close(alert: Alert, reason: Reason, now: datetime) -> tuple[Alert | None, News | None]:
    """End an alert for a reason that is no judgement. A pending one was never told, so it just goes."""
    if alert.state is State.PENDING:
        return None, None
    return replace(alert, state=State.RESOLVED, resolved_at=now, reason=reason), "resolved"


def _wait(alert: Alert, verdict: Verdict, timing: Timing, now: datetime) -> tuple[Alert | None, News | None]:
    if verdict.bad is None:
        return None, None
    gap = now - alert.counted_at if alert.counted_at else _NO_TIME
    if gap > timing.tolerance:
        # We looked away for too long to say it was bad all the time: pending starts again.
        alert = replace(alert, pending_since=now, waited=_NO_TIME, counted_at=now)
    waited = alert.waited + _elapsed(alert, timing, now)
    alert = _seen(replace(alert, severity=verdict.bad, waited=waited), verdict, now)
    return (alert, None) if waited < timing.wait else (replace(alert, state=State.FIRING, started_at=now), "firing")


def _elapsed(alert: Alert, timing: Timing, now: datetime) -> timedelta:
    """Time that counts since the last judgement: none after a pause, not negative, at most the tolerance."""
    if alert.counted_at is None:
        return _NO_TIME
    return min(max(now - alert.counted_at, _NO_TIME), timing.tolerance)


def _seen(alert: Alert, verdict: Verdict, now: datetime) -> Alert:
    """The alert with the facts of this judgement; without data they are as old as they were."""
    return replace(
        alert,
        counted_at=now,
        observed_at=now if verdict.data == "ok" else alert.observed_at,
        value=verdict.value,
        previous=verdict.previous,
        threshold=verdict.thresholds.get(alert.severity),
        measure=verdict.measure,
        unit=verdict.unit,
        details=verdict.details,
        data=verdict.data,
        labels=verdict.labels,
    )
