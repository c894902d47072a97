"""What a message says as data: the same for every machine that reads it. Pure."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from monitor.channels.text import encodable, without_numbers
from monitor.model.event import Event
from monitor.model.group import Message, Numbered
from monitor.model.money import text
from monitor.model.window import utc_text


def message_data(message: Message, *, redact: bool) -> dict[str, Any]:
    """A whole message, with all its alerts."""
    status = "test" if message.type == "test" else _status(message)
    return {
        "notification_id": message.id,
        "channel": message.channel,
        "status": status,
        "group": _texts(message.labels),
        "alerts": [alert_data(one, redact=redact) for one in message.alerts],
        "truncated": message.truncated,
    }


def _status(message: Message) -> str:
    """Of the last entry, which is the one that gives the message its type."""
    return message.alerts[-1].entry.status if message.alerts else "firing"


def alert_data(one: Numbered, *, redact: bool) -> dict[str, Any]:
    """One entry of it: amounts as decimal strings, times in UTC with milliseconds, None for what is not known."""
    entry = one.entry

    def amount(value: Decimal | None) -> str | None:
        return None if value is None or redact else text(value)

    # Without a summary of its own a rule says the caveat there already.
    twice = entry.annotations.get("caveat") == entry.annotations.get("summary")
    told = {name: words for name, words in entry.annotations.items() if name != "caveat" or not twice}
    annotations = _texts(told)
    if redact:
        annotations = {name: without_numbers(words) for name, words in annotations.items()}
    return {
        "id": entry.id,
        "fingerprint": entry.fingerprint,
        "sequence": one.sequence,
        "status": entry.status,
        "rule": encodable(entry.rule),
        "rule_type": entry.rule_type,
        "severity": entry.severity,
        "provider": encodable(entry.provider),
        "account": encodable(entry.account),
        "asset": _text(entry.asset),
        "measure": _text(entry.measure),
        "value": amount(entry.value),
        "previous": amount(entry.previous),
        "threshold": amount(entry.threshold),
        "unit": _text(entry.unit),
        "labels": _texts(entry.labels),
        "annotations": annotations,
        "started_at": _time(entry.started_at),
        "observed_at": _time(entry.observed_at),
        "resolved_at": _time(entry.resolved_at),
        "reason": _text(entry.reason),
        "event": None if entry.event is None else _event(entry.event, redact=redact),
    }


def _event(event: Event, *, redact: bool) -> dict[str, Any]:
    after = event.balance_after
    written: dict[str, Any] = {
        "id": encodable(event.id),
        "kind": encodable(event.kind),
        "direction": event.direction,
        "amount": None if redact else text(event.amount),
        "balance_after": None if after is None or redact else text(after),
        "occurred_at": _time(event.occurred_at),
        "reference": _text(event.reference),
    }
    if event.expected:
        uses = ((encodable(use.by), None if redact else text(use.amount)) for use in event.expected)
        written["expected"] = [{"by": name, "amount": amount} for name, amount in uses]
    return {**written, "late": True} if event.late else written


def _text(value: str | None) -> str | None:
    return None if value is None else encodable(value)


def _texts(values: Any) -> dict[str, str]:
    return {encodable(name): encodable(value) for name, value in values.items()}


def _time(at: datetime | None) -> str | None:
    return None if at is None else utc_text(at)
