"""What another configuration would make of what is known: the real decision on the last reading, never written."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from monitor.engine.decide import decide, judges
from monitor.engine.doubt import NO_DOUBTS
from monitor.engine.farewell import depart, stranger
from monitor.engine.policy import Policy
from monitor.engine.recall import last_answer
from monitor.engine.retire import retire
from monitor.fields import duration_text
from monitor.model.alert import Alert, State
from monitor.model.event import Event
from monitor.model.record import Account, Answer, Commit, Confirm, Need, Record
from monitor.model.snapshot import Outage
from monitor.rules.base import RuleBase


class Change(NamedTuple):
    """One alert that a reload would close, open or change. `detail` says why, how bad, or from what to what."""

    kind: Literal["closes", "opens", "changes"]
    rule: str
    account: str
    subject: str
    severity: str
    detail: str


def foresee(
    record: Record,
    account: Account,
    rules: tuple[RuleBase, ...],
    policy: Policy,
    now: datetime,
    recorded: tuple[Event, ...] | None = None,
) -> tuple[Change, ...] | Need:
    """What becomes of an account's alerts, judged at the time of its last reading: no timer runs on meanwhile.

    Need when the stored events are required. What is not read now, and what stands for a provider or a sum, only
    loses the alerts that no rule judges.
    """
    commit = _judged(record, account, rules, policy, now, recorded)
    if isinstance(commit, Need):
        return commit
    if commit is None:
        commit = retire(record, account, rules, policy.rules, now)
    live = {rule.alert: rule for rule in rules}
    lost = [alert for alert in commit.record.alerts if alert.rule in live and not judges(live[alert.rule], alert)]
    moved = (_of("closes", alert, account, "superseded") for alert in lost if alert.state is State.FIRING)
    return (*_changes(record, commit, account, live), *moved)


def forget(record: Record, provider: str, now: datetime) -> tuple[Change, ...]:
    """The same of an account that is configured no longer."""
    account = stranger(record.account, provider)
    return tuple(_changes(record, depart(record, account, now), account, {}))


def _judged(
    record: Record,
    account: Account,
    rules: tuple[RuleBase, ...],
    policy: Policy,
    now: datetime,
    recorded: tuple[Event, ...] | None,
) -> Commit | Need | None:
    reading: Answer | Outage | None
    if record.failing_since is not None and record.outage is not None:
        # Read as good it would seem to have recovered from being stale.
        reading, at = record.outage, record.outage.at
    else:
        reading = last_answer(record, account, now)
        if reading is None:
            return None
        at = reading.snapshot.observed_at
    decision = decide(record, reading, account, rules, policy, at, recorded)
    if isinstance(decision, Confirm):
        # It was read twice already, when it was judged.
        decision = decide(record, reading, account, rules, policy, at, recorded, decision.doubts or NO_DOUBTS)
    assert not isinstance(decision, Confirm), "what is doubted once is then judged"
    return decision


def _changes(record: Record, commit: Commit, account: Account, rules: dict[str, RuleBase]) -> Iterator[Change]:
    before = {alert.fingerprint: alert for alert in record.alerts}
    after = {alert.fingerprint: alert for alert in commit.record.alerts}
    reasons = {row.entry.fingerprint: row.entry.reason for row in commit.rows if row.news == "resolved"}
    for name, alert in before.items():
        if name not in after and alert.state is State.FIRING:
            yield _of("closes", alert, account, str(reasons.get(name, "recovered")))
        elif (now := after.get(name)) is not None and (detail := _detail(alert, now, rules.get(alert.rule))):
            yield _of("changes", now, account, detail)
    for name, alert in after.items():
        if name not in before:
            wait = rules[alert.rule].wait if alert.rule in rules else timedelta(0)
            yield _of(
                "opens",
                alert,
                account,
                "firing" if alert.state is State.FIRING else f"pending for {duration_text(wait)}",
            )


def _detail(before: Alert, after: Alert, rule: RuleBase | None) -> str:
    said = []
    if before.state is not after.state:
        said.append(f"{before.state} → {after.state}")
    if before.severity != after.severity:
        said.append(f"{before.severity} → {after.severity}")
    if before.threshold != after.threshold:
        said.append(f"threshold {before.threshold} → {after.threshold}")
    if after.calm and not before.calm:
        # What flaps waits, too, until it is calm.
        keeps = rule is not None and rule.keep_firing_for
        said.append("would recover after keep_firing_for" if keeps else "would recover once it is calm")
    return ", ".join(said)


def _of(kind: Literal["closes", "opens", "changes"], alert: Alert, account: Account, detail: str) -> Change:
    return Change(kind, alert.rule, account.name, alert.subject, alert.severity, detail)
