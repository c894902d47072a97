"""What a rule makes of one subject: the value it reads, its verdict, its alert, and what would change that. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal, DecimalException
from typing import Literal

from monitor.engine.nodata import data_flag, last_read
from monitor.engine.pricing import Prices
from monitor.fields import duration_text
from monitor.model.alert import SEVERITIES, Alert, DataFlag, Severity, State, Verdict
from monitor.model.money import RATIO, text
from monitor.model.record import Record
from monitor.model.snapshot import MEASURES
from monitor.rules.base import RuleBase
from monitor.rules.facts import Blindness, Checkup, Facts, Sighting
from monitor.rules.sandbox import amount, duration

Word = Literal["good", "bad", "unknown"]


@dataclass(frozen=True, slots=True)
class Explained:
    """One subject as a rule sees it. `read_at` is when what it reads was last really read; `low` and `high` are what
    the value may be, None where that has no end; `changes` are sentences."""

    subject: str
    verdict: Word
    level: Severity | None = None
    why: str = ""
    inputs: Mapping[str, Decimal] = field(default_factory=dict)
    read_at: datetime | None = None
    data: DataFlag = "ok"
    value: Decimal | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    unit: str | None = None
    thresholds: Mapping[Severity, Decimal] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)
    alert: Alert | None = None
    changes: tuple[str, ...] = ()


def explained(
    rule: RuleBase, subject: str, verdict: Verdict | None, facts: Facts, record: Record, trouble: str
) -> Explained:
    """What is to be said of one subject. `trouble` is why the last poll failed, empty when it did not."""
    alert = next((one for one in record.alerts if (one.rule, one.subject) == (rule.alert, subject)), None)
    common = {
        "subject": subject,
        "inputs": _inputs(rule, subject, record),
        "read_at": _read_at(subject, record),
        "data": _flag(rule, subject, facts, record, trouble),
        "alert": alert,
    }
    if verdict is None:
        return Explained(verdict="unknown", why=_why_unknown(rule, subject, facts, record, trouble), **common)  # type: ignore[arg-type]  # a mapping of its own fields
    held = verdict.held if alert is not None and alert.state is State.FIRING else None
    level = verdict.bad or held
    unsure = verdict.data != "ok" and verdict.bad is None
    return Explained(
        verdict="unknown" if unsure else "bad" if level else "good",
        level=level,
        why="what is not known could make it either" if unsure else _why_held(verdict, held),
        value=verdict.value,
        low=_end(verdict, "at_least"),
        high=_end(verdict, "at_most"),
        unit=verdict.unit,
        thresholds=verdict.thresholds,
        details=verdict.details,
        changes=tuple(_changes(rule, verdict, level, alert)),
        **common,  # type: ignore[arg-type]  # the same
    )


def _why_held(verdict: Verdict, held: Severity | None) -> str:
    return "it has not recovered" if verdict.bad is None and held else ""


def _end(verdict: Verdict, name: str) -> Decimal | None:
    """One end of what a value may be; None: there is no such end."""
    if not {"at_least", "at_most"} & verdict.details.keys():
        return verdict.value
    try:
        return Decimal(verdict.details[name])
    except (KeyError, DecimalException):
        return None


def _inputs(rule: RuleBase, subject: str, record: Record) -> Mapping[str, Decimal]:
    """The amounts a rule reads of an asset, in the order in which measures are told."""
    known = record.snapshot.amounts.get(subject, {}) if record.snapshot else {}
    wanted = rule.measures()
    return {name: known[name] for name in MEASURES if name in wanted and name in known}


def _read_at(subject: str, record: Record) -> datetime | None:
    if record.snapshot is None:
        return None
    return record.snapshot.seen.get(subject, record.snapshot.observed_at)


def _flag(rule: RuleBase, subject: str, facts: Facts, record: Record, trouble: str) -> DataFlag:
    """How far the facts can be trusted now: they age when nobody polls, too."""
    read_at = _read_at(subject, record)
    if not isinstance(facts, Sighting | Blindness):
        return "ok"
    if read_at is None or facts.now - read_at > facts.account.stale_after:
        return "stale"
    if trouble:
        return "error"
    lacking = last_read(rule, subject, facts, record.snapshot)
    return "ok" if lacking is None else data_flag(facts, lacking)


def _why_unknown(rule: RuleBase, subject: str, facts: Facts, record: Record, trouble: str) -> str:
    """The first reason that there is for no verdict."""
    match facts:
        case Blindness(now=now, since=since):
            return f"polls have failed for {_span(now - since)}: {trouble}"
        case Checkup(health=health):
            if health.noted_at is None:
                return "no poll of this provider was ever noted"
            return _why_still(facts, health.noted_at, firing=any(one.rule == rule.alert for one in record.alerts))
        case Sighting():
            return _why_unread(rule, subject, facts, record) or "too little is known of the past yet"
    return "what is known does not tell"


def _why_still(facts: Checkup, noted_at: datetime, *, firing: bool) -> str:
    """Why nothing is said of a provider now: its trouble is young, or nobody looks any more."""
    health, now = facts.health, facts.now
    if health.failing_since and (health.good_at is None or health.good_at < health.failing_since):
        failed = f"polls have failed for {_span(now - health.failing_since)}"
        if not firing and now - noted_at <= 2 * facts.interval:
            return f"{failed}, not long enough yet: {health.why}"
        return f"{failed}, the last one was noted {_span(now - noted_at)} ago: {health.why}"
    return f"the last poll was noted {_span(now - noted_at)} ago: is a daemon polling?"


def _why_unread(rule: RuleBase, subject: str, facts: Sighting, record: Record) -> str:
    known = record.snapshot
    if known is None or subject not in known.amounts:
        missing = known is not None and subject in known.missing
        return f"not in the last answer ({known.why})" if known and missing and known.why else "it was never read"
    if subject in known.seen:
        return f"not in the last answer; last read {_span(facts.now - known.seen[subject])} ago"
    lacking = [name for name in rule.measures() if name not in known.amounts[subject]]
    if lacking and len(rule.measures()) == 1:
        return f"the answer did not tell `{lacking[0]}`"
    if rule.in_usd and subject not in facts.prices:
        why = f": {facts.prices.why_not(subject)}" if isinstance(facts.prices, Prices) else ""
        return f"it has no price{why}"
    return f"the answer did not tell {', '.join(f'`{name}`' for name in lacking)}" if lacking else ""


def _changes(rule: RuleBase, verdict: Verdict, level: Severity | None, alert: Alert | None) -> Iterator[str]:
    """What would make it better or worse, by how much, and how long that would take."""
    worse = rule.worse or ("higher" if verdict.unit == "s" else None)
    if worse is None or not verdict.thresholds:
        return
    low, back = worse == "lower", rule.recoveries()
    way, after = ("below" if low else "above"), f", for {duration_text(rule.wait)}" if rule.wait else ""
    for severity in sorted(verdict.thresholds, key=SEVERITIES.index):
        at = verdict.thresholds[severity]
        if level is None or SEVERITIES.index(severity) > SEVERITIES.index(level):
            # What fires already rises at once.
            rises = level and alert and alert.state is State.FIRING
            verb, wait = ("rises to", "") if rises else ("fires as", after)
            yield f"{verb} {severity} {way} {_shown(at, verdict.unit)}{wait}{_distance(verdict, at)}"
    if level is None:
        return
    mildest = min(verdict.thresholds, key=SEVERITIES.index)
    at = back.get(mildest, verdict.thresholds[mildest])
    firing = alert is not None and alert.state is State.FIRING
    keep = f", for {duration_text(rule.keep_firing_for)}" if firing and rule.keep_firing_for else ""
    side = ("above" if low else "below") if mildest in back else "at"
    yield f"{'resolves' if firing else 'is good'} {side} {_shown(at, verdict.unit)}{keep}{_distance(verdict, at)}"


def _distance(verdict: Verdict, at: Decimal) -> str:
    """`: 12,000 USDT less` than now."""
    if verdict.value is None:
        return ""
    # A worth has as many digits as its price, which may be periodic: no exact difference need exist.
    by = RATIO.subtract(at, verdict.value)
    return f": {_shown(by.copy_abs(), verdict.unit)} {'less' if by < 0 else 'more'}"


def _shown(value: Decimal, unit: str | None) -> str:
    return duration(value) if unit == "s" else f"{amount(value)} {unit}" if unit else text(value)


def _span(elapsed: timedelta) -> str:
    """To the second, for people."""
    return duration_text(timedelta(seconds=max(0, elapsed // timedelta(seconds=1))))
