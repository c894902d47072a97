"""Drills: a breach that never was, told like a real one until somebody acknowledges it or its time is over.

A drill lives as an alert in a record of its own that nobody polls or judges: it begins and ends by amendments, so an
acknowledgement finds it like any other. Its groups are its own too: no real news waits for it or is told with it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from monitor.engine.escalate import begun
from monitor.engine.notice import Whom, entry_about
from monitor.engine.records import Amending
from monitor.engine.route import Router
from monitor.engine.watch import STORE_PROVIDER
from monitor.errors import StoreUnavailable
from monitor.model.alert import SEVERITIES, Alert, Severity, State
from monitor.model.asset import bare
from monitor.model.event import Event, digest
from monitor.model.record import Account, Commit, Entry, MonitorWatch, Record, Row
from monitor.model.target import Target
from monitor.rules.base import RuleBase
from monitor.rules.templates import USD, labels_of, render

#: In whose record drills live. No account name may hold a colon, so it is never taken, and nobody enrols it.
DRILLS = "monitor:drills"
DRILL_ACCOUNT = Account(DRILLS, STORE_PROVIDER, timedelta(0), timedelta(0), target=MonitorWatch())
#: What marks a drill, in its labels and at the beginning of its summaries.
DRILL_LABEL, PREFIX = "drill", "DRILL: "
#: Drills at once: more of them are a script gone wrong.
DRILLS_MAX = 20
#: Another amendment may come between reading and writing.
TRIES = 10
_LOW, _HIGH = Decimal("412.50"), Decimal(80_000)


class DrillRefusedError(Exception):
    """This drill cannot begin now; the text says why."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a drill pretends: that this rule is breached at this account, at this level, from now until then at most."""

    rule: RuleBase
    account: Account
    level: Severity
    now: datetime
    until: datetime


def worst_level(rule: RuleBase) -> Severity:
    """The worst level a rule can tell."""
    levels: Mapping[Severity, object] | None = getattr(rule, "levels", None)
    return max(levels, key=SEVERITIES.index) if levels else rule.severity


def staged(scene: Scene, router: Router) -> tuple[Alert, Row]:
    """The alert of a drill, and its news by the rule's templates on made-up facts, for whom the routes lead to."""
    entry = _entry(scene)
    told = render(scene.rule, entry, details={}, now=scene.now)
    summary = PREFIX + told.get("summary", "")
    labels = {**entry.labels, DRILL_LABEL: "true"}
    entry = replace(entry, labels=labels, annotations={**told, "summary": summary}, event=None)
    targets = begun(map(_apart, router(labels_of(entry))), scene.now)
    details = {
        DRILL_LABEL: "true",
        "provider": entry.provider,
        "account": entry.account,
        "until": scene.until.isoformat(),
    }
    alert = Alert(
        fingerprint=entry.fingerprint,
        id=entry.id,
        rule=entry.rule,
        subject=entry.asset or "",
        state=State.FIRING,
        severity=entry.severity,
        pending_since=scene.now,
        observed_at=scene.now,
        started_at=scene.now,
        value=entry.value,
        threshold=entry.threshold,
        measure=entry.measure,
        unit=entry.unit,
        details=details,
        targets=targets,
        rule_type=entry.rule_type,
        told_labels=labels,
    )
    return alert, Row(news="firing", entry=entry, targets=targets)


def ending(alert: Alert, now: datetime) -> Row:
    """The news that a drill is over, from what its alert remembers."""
    lasted = max(now - (alert.started_at or now), timedelta(0)) // timedelta(seconds=1)
    who = f"acknowledged by {alert.acked.by}" if alert.acked else "nobody acknowledged it"
    entry = replace(
        entry_about(alert, pretended(alert), now),
        status="resolved",
        annotations={"summary": f"{PREFIX}over after {lasted} s, {who}"},
        observed_at=now,
        resolved_at=now,
        reason="drill_over",
    )
    return Row(news="resolved", entry=entry, targets=alert.targets)


def pretended(alert: Alert) -> Whom:
    """Whom a drill pretends to be about."""
    details = alert.details
    return Whom(details.get("provider", ""), details.get("account", ""), alert.subject, alert.told_labels)


def until(alert: Alert) -> datetime:
    """When a drill ends, whoever began it and whatever became of them."""
    try:
        return datetime.fromisoformat(alert.details.get("until", ""))
    except ValueError:
        return alert.pending_since


async def begin(store: Amending, scene: Scene, router: Router) -> tuple[Alert, Row]:
    """Stage a drill and owe its news; DrillRefusedError while one of this rule is running."""
    # With no daemon nobody has done so since.
    await end_overdue(store, scene.now)
    for _ in range(TRIES):
        [record] = await store.load_many([DRILLS])
        if running := next((one for one in record.alerts if one.rule == scene.rule.alert), None):
            raise DrillRefusedError(f"a drill of it is running: {running.id}, until {until(running):%H:%M:%S} UTC")
        if len(record.alerts) >= DRILLS_MAX:
            raise DrillRefusedError(f"{len(record.alerts)} drills are running")
        alert, row = staged(scene, router)
        if await _amended(store, record, (*record.alerts, alert), row):
            return alert, row
    raise StoreUnavailable("the record of drills is being written to all the time")


async def end(store: Amending, alert_id: str, now: datetime) -> bool:
    """End a drill and owe the news of that; whether it was still running."""
    return bool(await _end(store, now, lambda alert: alert.id == alert_id))


async def end_overdue(store: Amending, now: datetime) -> int:
    """End those whose time is over: whoever began them is gone. Returns how many."""
    return await _end(store, now, lambda alert: until(alert) <= now)


async def find(store: Amending, alert_id: str) -> Alert | None:
    """A drill as it stands; None when it is over."""
    [record] = await store.load_many([DRILLS])
    return record.alert(alert_id)


async def _end(store: Amending, now: datetime, which: Callable[[Alert], bool]) -> int:
    for _ in range(TRIES):
        [record] = await store.load_many([DRILLS])
        over = [alert for alert in record.alerts if which(alert)]
        if not over:
            return 0
        kept = tuple(alert for alert in record.alerts if not which(alert))
        if await _amended(store, record, kept, *(ending(alert, now) for alert in over)):
            return len(over)
    raise StoreUnavailable("the record of drills is being written to all the time")


async def _amended(store: Amending, record: Record, alerts: tuple[Alert, ...], *rows: Row) -> bool:
    commit = Commit(before=record, record=replace(record, alerts=alerts), rows=rows)
    if await store.amend(STORE_PROVIDER, commit) != "written":
        return False
    await store.move(DRILLS)
    return True


def _entry(scene: Scene) -> Entry:
    """The rule's first made-up alert, as of this account and of now."""
    rule, account, now = scene.rule, scene.account, scene.now
    sample = next(rule.made_up())
    asset = None if rule.about() == "account" else _asset(rule, account)
    # Above where above is bad: a sentence like "no longer more than" would be another one.
    value, threshold = (_HIGH + _LOW, _HIGH) if rule.worse == "higher" else (_LOW, _HIGH)
    name = digest(DRILL_LABEL, rule.alert, account.provider, account.name, asset or "")
    return replace(
        sample,
        id=f"alr_{digest(name, now.isoformat())}",
        fingerprint=name[:16],
        status="firing",
        severity=scene.level,
        provider=_told(rule, "provider", account.provider),
        account="" if rule.judges_provider else _told(rule, "account", account.name),
        asset=asset,
        value=value,
        threshold=threshold,
        unit=USD if rule.in_usd else "s" if asset is None else bare(asset),
        labels={**_labels(rule, account), **rule.labels},
        started_at=now,
        observed_at=now,
        event=_movement(rule, sample.event, asset, now),
    )


def _movement(rule: RuleBase, sample: Event | None, asset: str | None, now: datetime) -> Event | None:
    if sample is None or asset is None:
        return sample
    kind = next(iter(rule.event_kinds()), sample.kind)
    return replace(sample, asset=asset, kind=kind, occurred_at=now)


def _asset(rule: RuleBase, account: Account) -> str:
    return next(iter((*rule.assets, *account.assets)), "USDT")


def _told(rule: RuleBase, label: str, value: str) -> str:
    """What an alert of a sum does not tell apart it does not name."""
    return value if not rule.spans or label in rule.summed_by else ""


def _labels(rule: RuleBase, account: Account) -> Mapping[str, str]:
    if rule.judges_provider:
        return {}
    if rule.spans and "account" not in rule.summed_by:
        return {name: account.labels[name] for name in rule.summed_by if name in account.labels}
    return account.labels


def _apart(target: Target) -> Target:
    """The same channel and timings in a group of the drills' own."""
    labels = {**target.labels, DRILL_LABEL: "true"}
    return replace(target, group=digest(DRILL_LABEL, target.group), labels=labels)
