"""The command `explain`: what a rule reads, how old that is, what it makes of it, and what would change that."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from monitor.api.views import alert_view, event_view, stamp
from monitor.commands.beside import OK, known, load_config, open_store, print_json
from monitor.config import Config
from monitor.engine.watch import account_of_sum, checkups, match_labels
from monitor.explain.facts import Asking, Part
from monitor.explain.subject import Explained
from monitor.explain.text import print_explanation
from monitor.feeds import Feeds
from monitor.model.labels import compile_match, values_of
from monitor.model.money import text
from monitor.model.record import Account, RuleWatch
from monitor.rules.aggregate import labels_of_subject, title
from monitor.rules.base import RuleBase

#: Without an account a rule is explained for all of its accounts, if they are no more than this.
ACCOUNTS_MAX = 5
#: Accounts that a rule matches are named up to so many.
NAMED_MAX = 10
_MS = timedelta(milliseconds=1)


def explain(path: Path, rule: str, account: str | None, *, as_json: bool) -> int:
    """Print what a rule makes of what is stored. No provider is asked."""
    config = load_config(path)
    asked = known({one.alert: one for one in config.rules}, rule, "rule")
    whom = _whom(config, asked, account)
    told = asyncio.run(_explain(config, asked, whom))
    if as_json:
        print_json(told)
    else:
        print_explanation(told)
    return OK


@dataclass(frozen=True, slots=True)
class _Whom:
    """Whom a rule judges, by name, and whom to explain. `stranger` is an account that it does not match, and why."""

    all: Mapping[str, Account]
    shown: tuple[Account, ...]
    stranger: str = ""
    why: tuple[str, ...] = ()


def _whom(config: Config, rule: RuleBase, name: str | None) -> _Whom:
    judged = _judged(config, rule)
    if name is None:
        return _Whom(judged, tuple(judged.values()) if len(judged) <= ACCOUNTS_MAX else ())
    if rule.judges_provider:
        providers = {one.provider: one.provider for one in config.accounts.values()}
        account = config.accounts.get(name)
        name = account.provider if account else known(providers, name, "provider")
        labels: Mapping[str, str] = {"provider": name}
    else:
        labels = match_labels(known(config.accounts, name, "account"))
    if rule.spans and rule.matches(labels):
        return _Whom(judged, tuple(judged.values()))
    if name in judged:
        return _Whom(judged, (judged[name],))
    return _Whom(judged, (), name, tuple(_unmatched(rule, labels)))


def _judged(config: Config, rule: RuleBase) -> dict[str, Account]:
    """Name → account that a rule judges: of a provider as a whole its name, of a rule over several the rule's."""
    matching = {name: one for name, one in config.accounts.items() if rule.matches(match_labels(one))}
    if rule.spans:
        return {rule.alert: account_of_sum(rule.alert, matching)}
    if rule.judges_provider:
        stand_ins = checkups(config.accounts.values()).values()
        return {match_labels(one)["provider"]: one for one in stand_ins if rule.matches(match_labels(one))}
    return matching


def _unmatched(rule: RuleBase, labels: Mapping[str, str]) -> list[str]:
    """Which labels keep a rule from an account."""
    said = []
    for label, wanted in rule.match.items():
        if not compile_match({label: wanted})(labels):
            values = " or ".join(values_of(wanted))
            has = f"is {labels[label]}" if label in labels else "is not set"
            said.append(f"`{label}` {has}, the rule wants {values}")
    return said


async def _explain(config: Config, rule: RuleBase, whom: _Whom) -> dict[str, Any]:
    async with open_store(config) as store:
        now = await store.time()
        # What any process has fetched of prices is in the store.
        feeds = Feeds(config.prices)
        await feeds.refresh(store)
        asking = Asking(store, rule, feeds.book, now)
        parts = [await asking.part(account) for account in whom.shown]
    return {
        "at": stamp(now),
        "rule": rule.alert,
        "type": rule.type,
        "settings": rule.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"alert", "type"}),
        "about": "provider" if rule.judges_provider else "sum" if rule.spans else rule.about(),
        "matches": _matches(whom),
        "not_matched": {"account": whom.stranger, "why": list(whom.why)} if whom.stranger else None,
        "parts": [_part(part, rule, now) for part in parts],
    }


def _matches(whom: _Whom) -> dict[str, Any]:
    names = list(whom.all)
    for one in whom.all.values():
        if isinstance(one.target, RuleWatch):
            names = list(one.target.members)
    return {"count": len(names), "first": names[:NAMED_MAX]}


def _part(part: Part, rule: RuleBase, now: datetime) -> dict[str, Any]:
    own = part.account.target
    return {
        "account": part.account.name if not hasattr(own, "provider") else None,
        "provider": getattr(own, "provider", part.account.provider),
        "observed_at": stamp(part.record.snapshot.observed_at) if part.record.snapshot else None,
        "failing": part.trouble or None,
        "unread_ms": _unread(part, now),
        "subjects": [_subject(one, part, rule, now) for one in part.subjects],
        "events": _events(part),
    }


def _unread(part: Part, now: datetime) -> int | None:
    """How long nobody has read an account, if that is too long and no poll failed: is a daemon polling at all?"""
    known = part.record.snapshot
    if part.trouble or known is None or now - known.observed_at <= part.account.stale_after:
        return None
    return (now - known.observed_at) // _MS


def _events(part: Part) -> dict[str, Any] | None:
    if part.tried is None:
        return None
    last = part.tried.told[-1] if part.tried.told else None
    return {
        "looked_at": part.tried.events,
        "told": len(part.tried.told),
        "last": {**event_view(last.event), "severity": last.severity, "value": text(last.value)} if last else None,
    }


def _subject(one: Explained, part: Part, rule: RuleBase, now: datetime) -> dict[str, Any]:
    return {
        "subject": one.subject,
        "title": _title(one, rule),
        "verdict": one.verdict,
        "level": one.level,
        "why": one.why,
        "inputs": {name: text(value) for name, value in one.inputs.items()},
        "age_ms": None if one.read_at is None else max(0, (now - one.read_at) // _MS),
        "data": one.data,
        "value": _maybe(one.value),
        "low": _maybe(one.low),
        "high": _maybe(one.high),
        "unit": one.unit,
        "thresholds": {severity: text(value) for severity, value in one.thresholds.items()},
        "details": dict(one.details),
        "alert": _alert(one, part, rule, now),
        "changes": list(one.changes),
    }


def _title(one: Explained, rule: RuleBase) -> str:
    """What people call a subject: of a sum, its labels."""
    if not rule.spans:
        return one.subject
    labels = one.alert.labels if one.alert else {}
    try:
        return title(labels or labels_of_subject(rule.summed_by, one.subject))
    except ValueError:
        # Of an alert that was told apart by other labels than now.
        return one.subject


def _alert(one: Explained, part: Part, rule: RuleBase, now: datetime) -> dict[str, Any] | None:
    """How the stored alert stands, and how far its timers have come; they rest while nothing is known."""
    alert = one.alert
    if alert is None:
        return None
    return {
        **alert_view(alert, part.account, now, {rule.alert: rule}),
        "waited_ms": alert.waited // _MS,
        "for_ms": rule.wait // _MS,
        "calm": alert.calm,
        "kept_ms": alert.kept // _MS,
        "keep_firing_for_ms": rule.keep_firing_for // _MS,
        "firing_for_ms": None if alert.started_at is None else max(0, (now - alert.started_at) // _MS),
    }


def _maybe(value: Any) -> str | None:
    return None if value is None else text(value)
