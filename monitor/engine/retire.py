"""Alerts of rules that judge their account no longer: closed as soon as that is known, without asking the provider."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from monitor.engine.decide import judges
from monitor.engine.farewell import end_of
from monitor.engine.poll import Polling
from monitor.engine.ports import PollStore
from monitor.engine.records import all_records
from monitor.model.record import Account, Commit, Record
from monitor.rules.base import RuleBase

log = structlog.get_logger("monitor.retire")

#: Long enough for one load and one commit.
LEASE = timedelta(seconds=15)

#: Who polls an account here, and as what; None for one that is not configured here.
WhoPolls = Callable[[str], tuple[Polling, Account] | None]


def unjudged(record: Record, rules: Iterable[RuleBase]) -> bool:
    """Whether some alert has no rule of its name left that judges this account."""
    live = {rule.alert for rule in rules}
    return any(alert.rule not in live for alert in record.alerts)


def displaced(record: Record, rules: Iterable[RuleBase]) -> bool:
    """Whether some alert's rule goes on here, and speaks of other things: of others of its assets, say."""
    live = {rule.alert: rule for rule in rules}
    return any(alert.rule in live and not judges(live[alert.rule], alert) for alert in record.alerts)


def retire(record: Record, account: Account, rules: Iterable[RuleBase], names: frozenset[str], now: datetime) -> Commit:
    """The record without the alerts that no rule judges, and the news of their end; all else stays as it is.

    `names` are those of all rules: one that goes on elsewhere has given this account up, and was not removed.
    """
    live = {rule.alert for rule in rules}
    gone = ((alert, alert.rule in names) for alert in record.alerts if alert.rule not in live)
    ends = (end_of(alert, "superseded" if elsewhere else "rule_removed", account, now) for alert, elsewhere in gone)
    kept = tuple(alert for alert in record.alerts if alert.rule in live)
    return Commit(before=record, record=replace(record, alerts=kept, judged=None), rows=tuple(filter(None, ends)))


async def sweep(store: PollStore, accounts: Sequence[str], who_polls: WhoPolls) -> list[str]:
    """Retire what is to be retired of these accounts; returns those that somebody is at, for another try.

    An account whose alerts are only displaced is polled at once: so the old subject closes and the new one opens in
    one decision, and is told in one message.
    """
    busy = []
    async for record in all_records(store, accounts):
        found = who_polls(record.account)
        if found is None:
            continue
        polling, account = found
        rules = polling.watching.rules_for(account)
        if unjudged(record, rules):
            if not await _retire(polling, account, rules):
                busy.append(account.name)
        elif displaced(record, rules):
            await store.poll_now(polling.provider, account.name)
    return busy


async def _retire(polling: Polling, account: Account, rules: Sequence[RuleBase]) -> bool:
    """Whether an account needs no other try. It stays due when it was."""
    store = polling.store
    claim = await store.take_one(polling.provider, account.name, LEASE)
    if claim is None:
        return False
    record = await store.load(account.name)
    commit = retire(record, account, rules, polling.watching.policy.rules, polling.now())
    result = await store.commit(
        polling.provider, commit, claim, claim.due_at, polling.watching.summing(account), polling.standing.generation
    )
    if result in ("written", "already"):
        await store.move(account.name)
        log.info("alerts.retired", account=account.name, provider=polling.provider, told=len(commit.rows))
        return not displaced(commit.record, rules)
    await store.release(polling.provider, [claim])
    # Whoever has the newer configuration does it.
    return result == "outdated"
