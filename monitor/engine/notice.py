"""How an alert is put into words: the entry that every channel tells."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from monitor.model.alert import Alert, EventVerdict, State
from monitor.model.event import digest
from monitor.model.record import Account, Entry, MonitorWatch, ProviderWatch, RuleWatch
from monitor.rules.aggregate import OWN
from monitor.rules.base import RuleBase
from monitor.rules.templates import render

#: Those of the configuration, by name.
Rules = Mapping[str, RuleBase]
_NO_LABELS: Mapping[str, str] = {}


class Whom(NamedTuple):
    """Whom an alert is about, as every message says it; empty where it is about none."""

    provider: str
    account: str
    asset: str
    labels: Mapping[str, str]


def whom(rule: RuleBase | None, account: Account, alert: Alert) -> Whom:
    """Whom an alert is about; `rule` is None when it was removed from the configuration."""
    labels = _own_labels(rule, account, alert.labels)
    if rule is None:
        # What is gone has no labels any more, but those who were told of it filter by them.
        labels = alert.told_labels or labels
    return Whom(_provider(account, alert.labels), _name(account, alert.labels), _asset(account, alert), labels)


def entry_of_alert(rule: RuleBase | None, account: Account, alert: Alert, now: datetime) -> Entry:
    """The entry of an alert as it stands; `rule` is None when it was removed from the configuration."""
    entry = entry_about(alert, whom(rule, account, alert), now)
    if rule is None:
        return replace(entry, annotations={"summary": _gone(account, alert)})
    return _worded(rule, entry, alert.details, now)


def entry_about(alert: Alert, about: Whom, now: datetime) -> Entry:
    """The same without any words."""
    return Entry(
        id=alert.id,
        fingerprint=alert.fingerprint,
        status="resolved" if alert.state is State.RESOLVED else "firing",
        rule=alert.rule,
        rule_type=alert.rule_type,
        severity=alert.severity,
        provider=about.provider,
        account=about.account,
        asset=about.asset or None,
        measure=alert.measure,
        value=alert.value,
        previous=alert.previous,
        threshold=alert.threshold,
        unit=alert.unit,
        labels=about.labels,
        annotations={},
        started_at=alert.started_at or now,
        observed_at=alert.observed_at,
        resolved_at=alert.resolved_at,
        reason=alert.reason,
        acked=alert.acked,
    )


def _gone(account: Account, alert: Alert) -> str:
    """Why an alert is over that no rule judges any more."""
    if alert.reason == "superseded":
        whom = _name(account, alert.labels) or _provider(account, alert.labels)
        return f"{alert.rule} no longer judges {whom}" if whom else f"{alert.rule} judges other things now"
    return f"{account.name if alert.reason == 'account_removed' else alert.rule} is no longer configured"


def _worded(rule: RuleBase, entry: Entry, details: Mapping[str, str], now: datetime) -> Entry:
    told = render(rule, entry, details=details, now=now)
    caveat = "" if entry.status == "resolved" else rule.caveat(entry, details)
    return replace(entry, annotations={**told, "caveat": caveat} if caveat else told)


def entry_of_event(
    rule: RuleBase, account: Account, verdict: EventVerdict, name: str, now: datetime, reason: str | None = None
) -> Entry:
    """The entry of an event alert. Its id comes from the event, so one event is never told under two ids.

    `reason` is set when a movement that was told is taken back, or stands again.
    """
    event = verdict.event
    entry = Entry(
        id=f"alr_{digest(name, event.id)}",
        fingerprint=name,
        status="event",
        rule=rule.alert,
        rule_type=rule.type,
        severity=verdict.severity,
        provider=_provider(account),
        account=_name(account),
        asset=event.asset,
        measure=verdict.measure,
        value=verdict.value,
        previous=None,
        threshold=verdict.threshold,
        unit=verdict.unit,
        labels=_own_labels(rule, account),
        annotations={},
        started_at=event.occurred_at,
        observed_at=now,
        reason=reason,
        event=event,
    )
    return _worded(rule, entry, {}, now)


def labels_of_alert(rule: RuleBase | None, account: Account, alert: Alert) -> Mapping[str, str]:
    """`labels_of` its entry, of an alert that is not put into words: this is asked at every poll while it fires."""
    about = whom(rule, account, alert)
    return {
        **about.labels,
        "rule": alert.rule,
        "rule_type": alert.rule_type,
        "severity": alert.severity,
        "provider": about.provider,
        "account": about.account,
        "asset": about.asset,
    }


def _own_labels(rule: RuleBase | None, account: Account, summed: Mapping[str, str] = _NO_LABELS) -> Mapping[str, str]:
    """The account's labels, or those that tell a sum apart, and the rule's."""
    labels = account.labels
    if summed:
        member = _member(account, summed)
        own = {name: value for name, value in summed.items() if name not in OWN}
        labels = {**member.labels, **own} if member else own
    return {**labels, **rule.labels} if rule else labels


def _member(account: Account, summed: Mapping[str, str]) -> Account | None:
    """The one account that a sum is about, if it is about one."""
    watch = account.target
    return watch.members.get(summed.get("account", "")) if isinstance(watch, RuleWatch) else None


def _provider(account: Account, summed: Mapping[str, str] = _NO_LABELS) -> str:
    match account.target:
        case ProviderWatch(provider=provider):
            return provider
        case MonitorWatch():
            return ""
        case RuleWatch():
            member = _member(account, summed)
            return member.provider if member else summed.get("provider", "")
    return account.provider


def _name(account: Account, summed: Mapping[str, str] = _NO_LABELS) -> str:
    """A provider as a whole is no account, nor is the monitor, nor a sum over several."""
    match account.target:
        case ProviderWatch() | MonitorWatch():
            return ""
        case RuleWatch():
            return summed.get("account", "")
    return account.name


def _asset(account: Account, alert: Alert) -> str:
    if isinstance(account.target, MonitorWatch):
        return ""
    return alert.labels.get("asset", "") if isinstance(account.target, RuleWatch) else alert.subject
