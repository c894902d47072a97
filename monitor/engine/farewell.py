"""An account that is configured no longer: its alerts are closed, everybody who was told is told."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from monitor.engine.inhibit import source_of
from monitor.engine.notice import entry_of_alert
from monitor.engine.poll import Polling
from monitor.engine.ports import Claim
from monitor.engine.watch import (
    CHECKUP,
    MONITOR,
    SUM,
    account_of_checkup,
    account_of_monitor,
    account_of_sum,
)
from monitor.model.alert import Alert, Reason, close
from monitor.model.record import Account, Commit, Record, Row, RuleWatch

log = structlog.get_logger("monitor.farewell")


def end_of(alert: Alert, reason: Reason, account: Account, now: datetime) -> Row | None:
    """The news that an alert is over which no rule judges any more; None for a pending one, which was never told."""
    closed, news = close(alert, reason, now)
    if closed is None or news is None:
        return None
    entry = entry_of_alert(None, account, closed, now)
    return Row(news, entry, closed.targets, source_of(entry, account.name, now, was=alert.inhibits, inhibits=False))


def depart(
    record: Record, account: Account, now: datetime, names: Collection[str] = (), why: Reason = "account_removed"
) -> Commit:
    """The record without alerts, and the news that they are over; pending ones were never told.

    `names` are those of all rules there are, `why` is told of an account that is gone.
    """
    rows = []
    # The pseudo account of a rule goes with the rule, or once that judges each account by itself.
    for alert in record.alerts:
        reason = why
        if isinstance(account.target, RuleWatch):
            reason = "superseded" if alert.rule in names else "rule_removed"
        rows.append(end_of(alert, reason, account, now))
    return Commit(before=record, record=replace(record, alerts=()), rows=tuple(filter(None, rows)))


async def farewell(polling: Polling, claim: Claim, why: Reason = "account_removed") -> None:
    """Close and forget a claimed account. A crash in between repeats it; what was told is not told again."""
    store, name = polling.store, claim.account
    record, now = await store.load(name), polling.now()
    if record.alerts:
        commit = depart(record, stranger(name, polling.provider), now, polling.watching.policy.rules, why)
        # Seen off, not judged: a process that has it after all, and was only taken for gone, may go on with it.
        result = await store.commit(polling.provider, commit, claim, now, generation=record.generation)
        if result not in ("written", "already"):
            return
        await store.move(name)
        log.info("account.removed", account=name, provider=polling.provider, closed=len(commit.rows), reason=why)
    await store.dismiss(polling.provider, [name])


def stranger(name: str, provider: str) -> Account:
    """As much of an account as its name tells."""
    if name == MONITOR:
        return account_of_monitor()
    if name.startswith(SUM):
        return account_of_sum(name.removeprefix(SUM), {})
    if name.startswith(CHECKUP):
        return account_of_checkup(name.removeprefix(CHECKUP), timedelta(0))
    return Account(name=name, provider=provider, interval=timedelta(0), stale_after=timedelta(0))
