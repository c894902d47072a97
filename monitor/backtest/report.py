"""What came of a backtest: for machines as one value, for people as a table of rules and channels."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from monitor.api.views import stamp
from monitor.commands.checks import counted
from monitor.config.mistakes import printable
from monitor.fields import duration_text
from monitor.model.alert import SEVERITIES
from monitor.model.record import Entry, Row
from monitor.rules.base import RuleBase
from monitor.ruletest.inbox import Heard

WEEK = timedelta(days=7)
#: Of each rule: the worst episodes, of those the first.
EXAMPLES_MAX = 3
#: Texts of examples in the table's lines are cut here; `--json` has them whole.
TEXT_MAX = 160
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Unjudged:
    """A rule that the past says nothing of."""

    rule: str
    why: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything a backtest found. `since` is when history begins, not before `asked_since`.

    `rows` is what alerts owed and when, `heard` what the channels made of it. `coarse` is account → until when only
    the last value of each hour is known; `unpriced` is rule → assets without a price.
    """

    since: datetime
    asked_since: datetime
    until: datetime
    channels: tuple[str, ...]
    rules: tuple[RuleBase, ...]
    unjudged: tuple[Unjudged, ...]
    rows: tuple[tuple[datetime, Row], ...]
    heard: tuple[Heard, ...]
    replayed: int
    silent: int
    coarse: Mapping[str, datetime]
    unpriced: Mapping[str, tuple[str, ...]]

    @property
    def weeks(self) -> float:
        return (self.until - self.since) / WEEK


def report(outcome: Outcome) -> dict[str, Any]:
    """The whole outcome, ready for JSON."""
    unjudged = {one.rule: one.why for one in outcome.unjudged}
    return {
        "since": stamp(outcome.since),
        "until": stamp(outcome.until),
        "weeks": round(outcome.weeks, 2),
        "accounts": {"replayed": outcome.replayed, "without_history": outcome.silent},
        "notifications": _told(outcome.heard, outcome),
        "by_week": _by_week(outcome),
        "rules": [_of_rule(rule, outcome, unjudged.get(rule.alert)) for rule in outcome.rules],
        "notes": _notes(outcome),
    }


def _told(heard: Iterable[Heard], outcome: Outcome) -> dict[str, Any]:
    """Messages, in all and per channel; alerts that share a message are one."""
    messages = Counter(channel for channel, _ in {(one.channel, one.message) for one in heard})
    return {
        **_rate(messages.total(), outcome),
        "channels": {name: _rate(messages[name], outcome) for name in outcome.channels},
    }


def _rate(count: int, outcome: Outcome) -> dict[str, Any]:
    return {"count": count, "per_week": round(count / outcome.weeks, 1) if outcome.weeks else 0.0}


def _by_week(outcome: Outcome) -> list[dict[str, Any]]:
    """Messages per channel in each seven days from the beginning on; the last ones may be fewer days."""
    weeks: dict[int, set[tuple[str, str]]] = {}
    for one in outcome.heard:
        weeks.setdefault(max(0, (min(one.at, outcome.until) - outcome.since) // WEEK), set()).add(
            (one.channel, one.message)
        )
    found = []
    for place in range(-(-(outcome.until - outcome.since) // WEEK)):
        messages = Counter(channel for channel, _ in weeks.get(place, ()))
        found.append({
            "from": stamp(outcome.since + place * WEEK),
            "channels": {name: messages[name] for name in outcome.channels},
        })  # fmt: skip
    return found


def _of_rule(rule: RuleBase, outcome: Outcome, why_not: str | None) -> dict[str, Any]:
    rows = [(at, row) for at, row in outcome.rows if row.entry.rule == rule.alert]
    ended = {row.entry.id: at for at, row in rows if row.news == "resolved"}
    episodes = _episodes(rows)
    return {
        "rule": rule.alert,
        "type": rule.type,
        "not_judged": why_not,
        "episodes": len(episodes),
        "still_firing": sum(entry.status == "firing" and name not in ended for name, (_, entry) in episodes.items()),
        "notifications": _told([one for one in outcome.heard if one.alert == rule.alert], outcome),
        "kinds": dict(Counter(one.kind for one in outcome.heard if one.alert == rule.alert)),
        "unpriced": list(outcome.unpriced.get(rule.alert, ())),
        "examples": [_example(at, entry, ended.get(entry.id)) for at, entry in _worst(episodes.values())],
    }


def _episodes(rows: Iterable[tuple[datetime, Row]]) -> dict[str, tuple[datetime, Entry]]:
    """Alert id → when it began, and what was told of it when it was as bad as it came."""
    found: dict[str, tuple[datetime, Entry]] = {}
    for at, row in rows:
        began, worst = found.get(row.entry.id, (at, row.entry))
        if row.news != "resolved" and _rank(row.entry) > _rank(worst):
            worst = row.entry
        found[row.entry.id] = began, worst
    return found


def _rank(entry: Entry) -> int:
    return SEVERITIES.index(entry.severity)


def _worst(episodes: Iterable[tuple[datetime, Entry]]) -> list[tuple[datetime, Entry]]:
    return sorted(episodes, key=lambda one: (-_rank(one[1]), one[0]))[:EXAMPLES_MAX]


def _example(at: datetime, entry: Entry, ended_at: datetime | None) -> dict[str, Any]:
    return {
        "at": stamp(at),
        "severity": entry.severity,
        "account": entry.account,
        "asset": entry.asset,
        "text": entry.annotations.get("summary", ""),
        "lasted_ms": None if ended_at is None else (ended_at - at) // timedelta(milliseconds=1),
    }


def _notes(outcome: Outcome) -> list[str]:
    """What must be known to read the numbers."""
    if not outcome.replayed:
        many = counted(outcome.silent, "account")
        return [f"there is no history since {_day(outcome.asked_since)} ({many} looked at): nothing to replay"]
    notes = []
    if outcome.since - outcome.asked_since > _MINUTE:
        notes.append(f"history begins at {_day(outcome.since)}: before that nothing is known")
    if outcome.silent:
        notes.append(f"{counted(outcome.silent, 'account')} without any history")
    if outcome.coarse:
        until = _day(max(outcome.coarse.values()))
        many = counted(len(outcome.coarse), "account")
        notes.append(f"of {many} only the last value of each hour is known, until {until} at the latest")
    for name, assets in outcome.unpriced.items():
        notes.append(f"{name} could not judge {_listed(assets)}: no price in history, and none under `prices: static`")
    notes.append("failed polls are not in the history: every poll between two changes is taken to have read the same")
    return notes


def print_report(told: Mapping[str, Any]) -> None:
    """For people: one line a rule, its worst moments, and how much that is in all."""
    console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    if told["accounts"]["replayed"]:
        channels = list(told["notifications"]["channels"])
        table = Table("rule", "episodes", *channels, title=f"{told['since']} to {told['until']}")
        for rule in told["rules"]:
            table.add_row(*_line(rule, channels))
        console.print(table)
        for rule in told["rules"]:
            for line in _examples(rule):
                console.print(printable(line))
        for week in told["by_week"]:
            console.print(f"from {week['from'][:10]}: {_sent(week['channels'])}")
        console.print(_total(told))
    for note in told["notes"]:
        console.print(f"note: {printable(note)}")


def _line(rule: Mapping[str, Any], channels: Sequence[str]) -> list[str]:
    if rule["not_judged"]:
        return [rule["rule"], "not judged", *("" for _ in channels)]
    firing = f", {rule['still_firing']} still firing" if rule["still_firing"] else ""
    told = rule["notifications"]["channels"]
    return [rule["rule"], f"{rule['episodes']}{firing}", *(_often(told[name]) for name in channels)]


def _often(rate: Mapping[str, Any]) -> str:
    return f"{rate['count']} ({rate['per_week']:g} a week)" if rate["count"] else "–"


def _examples(rule: Mapping[str, Any]) -> Iterable[str]:
    if rule["not_judged"]:
        yield f"{rule['rule']}: not judged, {rule['not_judged']}"
    elif rule["examples"]:
        yield f"{rule['rule']}:"
    for one in rule["examples"]:
        lasted = "" if one["lasted_ms"] is None else f", for {duration_text(_whole(one['lasted_ms']))}"
        yield f"  {one['at']} {one['severity']}{lasted}: {one['text'][:TEXT_MAX]}"


def _sent(channels: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in channels.items() if count) or "nothing"


def _whole(milliseconds: int) -> timedelta:
    """To the second: nobody compares episodes by their milliseconds."""
    return timedelta(seconds=max(1, milliseconds // 1000))


def _total(told: Mapping[str, Any]) -> str:
    sent = told["notifications"]
    accounts = counted(told["accounts"]["replayed"], "account")
    each = ", ".join(f"{name} {rate['per_week']:g}" for name, rate in sent["channels"].items() if rate["count"])
    in_all = f"{counted(sent['count'], 'notification')} in {told['weeks']:g} weeks from {accounts}"
    return f"{in_all}: {sent['per_week']:g} a week ({each})" if each else in_all


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _listed(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
