"""The bodies a webhook can post: our own, a CloudEvent, or what Alertmanager would post. Pure.

Facts: github.com/cloudevents/spec, bindings/http-protocol-binding.md; github.com/prometheus/alertmanager,
docs/configuration.md (webhook_config) and template/template.go.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from monitor.channels.alertmanager_alerts import alerts_of, common, named, received
from monitor.channels.payload import message_data
from monitor.channels.text import clean
from monitor.channels.words import subjects
from monitor.model.group import Message
from monitor.model.window import utc_text

Format = Literal["standard", "cloudevents", "alertmanager"]

#: Before our own types: of a domain that is reserved for private use and can never be anybody's.
TYPE_PREFIX = "internal.balance-monitor."
SOURCE = "/balance-monitor"

CONTENT_TYPES: Mapping[Format, str] = {
    "standard": "application/json",
    "cloudevents": "application/cloudevents+json; charset=utf-8",
    "alertmanager": "application/json",
}

_encode = msgspec.json.Encoder().encode


def render(message: Message, form: Format = "standard", *, redact: bool = False) -> bytes:
    """A pure function of the message, so all attempts send the same bytes."""
    return _encode(_FORMATS[form](message, redact=redact))


def standard(message: Message, *, redact: bool) -> dict[str, Any]:
    """What the README describes."""
    data = message_data(message, redact=redact)
    return {"type": message.type, "timestamp": utc_text(message.at), "data": data}


def cloud_event(message: Message, *, redact: bool) -> dict[str, Any]:
    """CloudEvents 1.0, structured: the same data in their envelope. `subject` is the account, if there is only one."""
    entries = subjects(message)
    providers = {clean(entry.provider) for entry in entries}
    accounts = {clean(entry.account) for entry in entries}
    provider = providers.pop() if len(providers) == 1 else ""
    account = accounts.pop() if len(accounts) == 1 else ""
    return {
        "specversion": "1.0",
        "id": message.id,
        "source": f"{SOURCE}/{quote(provider, safe='')}" if provider else SOURCE,
        "type": f"{TYPE_PREFIX}{message.type}",
        **({"subject": account} if account else {}),
        "time": utc_text(message.at),
        "datacontenttype": "application/json",
        "data": message_data(message, redact=redact),
    }


def alertmanager(message: Message, *, redact: bool) -> dict[str, Any]:
    """Alertmanager's webhook payload, version 4: each set of labels once, as it stands now."""
    newest = {}
    for entry in (entry for one in message.alerts for entry in alerts_of(one)):
        alert = received(entry, redact=redact)
        newest[alert["fingerprint"]] = alert
    alerts = list(newest.values())
    group = _group(message.labels)
    quoted = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in group.items())
    return {
        "receiver": message.channel,
        "status": "firing" if any(alert["status"] == "firing" for alert in alerts) else "resolved",
        "alerts": alerts,
        "groupLabels": group,
        "commonLabels": common([alert["labels"] for alert in alerts]),
        "commonAnnotations": common([alert["annotations"] for alert in alerts]),
        "externalURL": "",
        "version": "4",
        "groupKey": f"{{}}:{{{quoted}}}",
        "truncatedAlerts": message.truncated,
    }


def _group(shared: Mapping[str, str]) -> dict[str, str]:
    """What all alerts of a group share; whoever knows Alertmanager looks for `alertname`."""
    known = {"alertname": shared["rule"]} if "rule" in shared else {}
    return named({**shared, **known})


_FORMATS: Mapping[Format, Callable[..., dict[str, Any]]] = {
    "standard": standard,
    "cloudevents": cloud_event,
    "alertmanager": alertmanager,
}
