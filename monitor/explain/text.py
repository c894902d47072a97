"""What `explain` prints for people, from what it says to machines."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from rich.console import Console

from monitor.api.views import age_text
from monitor.commands.checks import counted
from monitor.config.mistakes import printable
from monitor.fields import duration_text
from monitor.rules.contributors import breakdown
from monitor.rules.sandbox import amount, duration

#: Of one account; `--json` has them all.
SUBJECTS_MAX = 50
_NOUNS = {"provider": "provider", "sum": "account"}
_COLOURS = {"good": "green", "bad": "red", "unknown": "yellow"}


def print_explanation(told: Mapping[str, Any]) -> None:
    """The rule, whom it judges, and each subject with its verdict."""
    console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    console.print(printable(f"{told['rule']} ({told['type']}): {_settings(told['settings'])}"))
    console.print(printable(_whom(told)))
    if told["not_matched"]:
        stranger = told["not_matched"]
        console.print(
            printable(f"it does not judge {stranger['account']}: {'; '.join(stranger['why'])}"), style="yellow"
        )
    for part in told["parts"]:
        for line, style in _part(part, "" if told["about"] == "sum" else part["account"] or part["provider"]):
            console.print(printable(line), style=style)


def _settings(settings: Mapping[str, Any]) -> str:
    """All that its file says of it but for the texts."""
    said = (f"{key}: {_flow(value)}" for key, value in settings.items() if key not in ("annotations", "labels"))
    return ", ".join(said) or "with its defaults"


def _flow(value: Any) -> str:
    """A value as YAML in one line would have it."""
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {_flow(one)}" for key, one in value.items() if one is not None) + "}"
        case list():
            return "[" + ", ".join(_flow(one) for one in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _whom(told: Mapping[str, Any]) -> str:
    count, first = told["matches"]["count"], told["matches"]["first"]
    who = f"it judges {counted(count, _NOUNS.get(told['about'], 'account'))}"
    if not count:
        return who
    more = f" and {count - len(first)} more" if count > len(first) else ""
    named = f"{who}{' together' if told['about'] == 'sum' else ''}: {', '.join(first)}{more}"
    ask = "" if told["parts"] or told["not_matched"] else f"\nname one of them: explain {told['rule']} {first[0]}"
    return named + ask


def _part(part: Mapping[str, Any], who: str) -> Iterator[tuple[str, str | None]]:
    """Lines and their colours; sums go by their own names, and `who` is empty."""
    if part["failing"]:
        yield f"{who}: the last poll failed: {part['failing']}", "yellow"
    if part["unread_ms"] is not None:
        yield f"{who}: nobody has read it for {_span(part['unread_ms'])}: is a daemon polling it?", "yellow"
    if part["events"] is not None:
        yield from _events(who, part["events"])
        return
    if not part["subjects"]:
        yield f"{who or 'sums'}: nothing is known that it could judge", "yellow"
    for one in part["subjects"][:SUBJECTS_MAX]:
        yield f"{who} {one['title']}".strip() + f": {_verdict(one)}", _COLOURS[one["verdict"]]
        for line in _lines(one):
            yield f"  {line}", None
    if len(part["subjects"]) > SUBJECTS_MAX:
        yield f"and {len(part['subjects']) - SUBJECTS_MAX} more (--json has them all)", None


def _events(who: str, events: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    if not events["looked_at"]:
        yield f"{who}: it has no events yet", None
        return
    yield f"{who}: of its latest {counted(events['looked_at'], 'event')} it tells {events['told']}", None
    if (last := events["last"]) is not None:
        yield f"  the last one at {last['occurred_at']}: {last['kind']} {last['amount']} {last['asset'] or ''}", None


def _verdict(one: Mapping[str, Any]) -> str:
    level = f" ({one['level']})" if one["level"] and one["verdict"] == "bad" else ""
    return f"{one['verdict']}{level}{', because ' + one['why'] if one['why'] else ''}"


def _lines(one: Mapping[str, Any]) -> Iterator[str]:
    inputs = [f"{name} {amount(Decimal(value))}" for name, value in one["inputs"].items()]
    age = None if one["age_ms"] is None else timedelta(milliseconds=one["age_ms"])
    doubt = "" if one["data"] == "ok" else f", data: {one['data']}"
    if age is not None:
        yield f"reads {', '.join(inputs) or 'the whole answer'}, {age_text(age)} old{doubt}"
    if one["value"] is not None or one["high"] is not None:
        yield f"value {_value(one)}{_limits(one)}"
    if parts := breakdown({name: text for name, text in one["details"].items() if name != "left"}):
        yield f"made of {parts[2:-1]}"
    if one["alert"]:
        yield _alert(one["alert"])
    yield from one["changes"]


def _value(one: Mapping[str, Any]) -> str:
    if one["low"] == one["high"]:
        return _amount(one["value"], one["unit"])
    ends = [("at least", one["low"]), ("at most", one["high"])]
    return ", ".join(f"{name} {_amount(end, one['unit'])}" for name, end in ends if end is not None) or "anything"


def _limits(one: Mapping[str, Any]) -> str:
    limits = (f"{severity} {_amount(value, one['unit'])}" for severity, value in one["thresholds"].items())
    said = ", ".join(limits)
    return f", limit: {said}" if said else ""


def _amount(value: str, unit: str | None) -> str:
    return duration(Decimal(value)) if unit == "s" else f"{amount(Decimal(value))} {unit or ''}".rstrip()


def _alert(alert: Mapping[str, Any]) -> str:
    if alert["state"] == "pending":
        return f"pending {_span(alert['waited_ms'])} of {_span(alert['for_ms'])}"
    calm = f", good for {_span(alert['kept_ms'])} of {_span(alert['keep_firing_for_ms'])}" if alert["calm"] else ""
    flapping = ", held because it flaps" if alert["flapping"] else ""
    return (
        f"firing {alert['severity']} for {_span(alert['firing_for_ms'])}, since {alert['started_at']}{calm}{flapping}"
    )


def _span(milliseconds: int | None) -> str:
    return duration_text(timedelta(seconds=(milliseconds or 0) // 1000))
