"""Events for PagerDuty: one for each alert, and what the answers mean. Pure.

Facts: github.com/PagerDuty/developer-docs, events-API-v2/01-Overview.md and 02-Trigger-Events.md.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from monitor.channels.answers import failure, understood
from monitor.channels.http import Reply
from monitor.channels.payload import alert_data
from monitor.channels.text import clean, cut
from monitor.channels.words import Pen, drilled, fact, runbook, where
from monitor.errors import DeliveryRejected
from monitor.model.alert import Severity
from monitor.model.group import Message, Numbered
from monitor.model.record import Entry
from monitor.model.window import utc_text

#: Their severities; ours are among them.
Level = Literal["critical", "error", "warning", "info"]

SUMMARY_MAX = 1024
#: What we allow for names.
NAME_MAX = 255
#: Of a whole event, in bytes.
EVENT_MAX = 512_000
CLIENT = "balance-monitor"
#: What `send-test` resolves: nothing has this key, so nobody is paged, and the routing key is checked all the same.
TEST_KEY = "balance-monitor-test"

_encode = msgspec.json.Encoder().encode


def dedup_key(entry: Entry) -> str:
    """What an incident is about: one subject of one rule; or one movement, each of which is an incident of its own."""
    return entry.id if entry.status == "event" else entry.fingerprint


def event(
    message: Message, one: Numbered, *, redact: bool = False, severities: Mapping[Severity, Level] | None = None
) -> dict[str, Any]:
    """One alert as an event, all but its routing key."""
    entry = one.entry
    if entry.status == "resolved":
        return resolve(dedup_key(entry))
    link = runbook(entry)
    told: dict[str, Any] = {
        "event_action": "trigger",
        "dedup_key": dedup_key(entry),
        "client": CLIENT,
        "payload": {
            **_payload(entry, (severities or {}).get(entry.severity, entry.severity), redact=redact),
            "custom_details": {
                "notification_id": message.id,
                "channel": message.channel,
                **alert_data(one, redact=redact),
            },
        },
    }
    if link:
        told["links"] = [{"href": link, "text": "Runbook"}]
    return told if len(_encode(told)) < EVENT_MAX - NAME_MAX else _shortened(told)


def resolve(key: str) -> dict[str, Any]:
    """The end of an incident."""
    return {"event_action": "resolve", "dedup_key": key}


def _payload(entry: Entry, severity: Level, *, redact: bool) -> dict[str, Any]:
    account, provider = clean(entry.account), clean(entry.provider)
    named = {"component": account, "group": provider, "class": clean(entry.rule_type)}
    return {
        "summary": _summary(entry, redact=redact),
        "source": cut(":".join(filter(None, (provider, account))) or CLIENT, 2 * NAME_MAX),
        "severity": severity,
        "timestamp": utc_text(entry.started_at or entry.observed_at),
        **{name: cut(value, NAME_MAX) for name, value in named.items() if value},
    }


def _summary(entry: Entry, *, redact: bool) -> str:
    # It is read out on the phone.
    parts = ("DRILL" if drilled(entry) else "", clean(entry.rule), clean(where(entry)))
    names = " ".join(filter(None, parts)) or entry.id
    said = fact(entry, Pen(clean, redact))
    return cut(f"{names}: {said}" if said else names, SUMMARY_MAX)


def _shortened(told: dict[str, Any]) -> dict[str, Any]:
    """Without what is longest; the summary has what counts."""
    details = told["payload"]["custom_details"]
    kept = {name: value for name, value in details.items() if isinstance(value, str) and len(value) <= NAME_MAX}
    note = {**kept, "note": "left out what is larger than PagerDuty takes"}
    return {**told, "payload": {**told["payload"], "custom_details": note}}


class _Said(msgspec.Struct):
    status: str = ""
    message: str = ""
    errors: list[Any] | None = None


def classify(reply: Reply) -> str:
    """`Event processed`, or the DeliveryError for what PagerDuty said."""
    said = understood(reply.text, _Said) or _Said(message=reply.text)
    if reply.status == 202 and said.status in ("", "success"):
        # They took it, even where the rest of the answer was lost on its way.
        return clean(said.message) or "HTTP 202"
    blamed = f"{said.message} {said.errors or ''}".lower().replace("_", " ")
    if reply.status == 402 or (reply.status == 400 and "routing key" in blamed):
        raise DeliveryRejected(reply.why, "channel")
    raise failure(reply)
