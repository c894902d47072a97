"""`webhook`: the message as JSON, signed as Standard Webhooks 1.0.0 describes."""

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
import standardwebhooks
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo

from monitor.channels.base import ChannelSettings, SecretUrl, read
from monitor.channels.http import Http, Reply
from monitor.channels.text import encodable, without_numbers
from monitor.engine.ports import Channel
from monitor.errors import DeliveryDeferred, DeliveryRejected
from monitor.fields import Secret
from monitor.model.event import Event
from monitor.model.group import Message, Numbered, Receipt
from monitor.model.money import text

_PREFIX = "whsec_"
_encode = msgspec.json.Encoder().encode


def _signing(secret: SecretStr, info: ValidationInfo) -> SecretStr:
    if not read(info):
        return secret
    plain = secret.get_secret_value()
    coded = plain.removeprefix(_PREFIX)
    try:
        # Unpadded base64 is common in the wild, and the library takes it.
        key = base64.b64decode(coded + "=" * (-len(coded) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not plain.startswith(_PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError("a webhook secret is whsec_ and 24 to 64 random bytes in base64")
    return secret


def _as_list(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


SigningSecret = Annotated[Secret, AfterValidator(_signing)]
_Secrets = SigningSecret | Annotated[tuple[SigningSecret, ...], Field(max_length=2)]


class Webhook(ChannelSettings):
    """`ops: {type: webhook, url: {env: OPS_URL}, secret: {env: OPS_SECRET}}`"""

    type: Literal["webhook"]
    url: SecretUrl
    secret: Annotated[tuple[SigningSecret, ...], BeforeValidator(_as_list, json_schema_input_type=_Secrets)] = Field(
        default=(), max_length=2, description="whsec_…; [new, old] while rotating; unsigned without"
    )

    def connect(self, http: Http) -> Channel:
        return WebhookChannel(self, http)


@dataclass(frozen=True, slots=True)
class WebhookChannel:
    spec: Webhook
    http: Http

    async def send(self, message: Message, now: datetime) -> Receipt:
        """Sign and post; every attempt has the same id and body and its own timestamp."""
        body = render(message, redact=bool(self.spec.redact))
        reply = await self.http.post(
            self.spec.url, body, _headers(self.spec, message.id, body, now), now, self.spec.timeout
        )
        return Receipt(classify(reply))


def classify(reply: Reply) -> str:
    """2xx is success and 410 the end; whatever else a receiver says, it may say otherwise later."""
    if 200 <= reply.status < 300:
        return f"HTTP {reply.status}"
    why = f"HTTP {reply.status} {reply.excerpt}".strip()
    if reply.status == 410:
        raise DeliveryRejected(why, "channel")
    raise DeliveryDeferred(why, reply.wait)


def _headers(spec: Webhook, name: str, body: bytes, now: datetime) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(int(now.timestamp())),
    }
    if spec.secret:
        headers["webhook-signature"] = signatures(spec.secret, name, now, body)
    return headers


def signatures(secrets: tuple[SecretStr, ...], name: str, now: datetime, body: bytes) -> str:
    """The value of `webhook-signature`: one for each secret, so that both work during a rotation."""
    # The library stamps UTC on whatever it is given, so it must be given UTC.
    at = now.astimezone(UTC)
    signers = (standardwebhooks.Webhook(secret.get_secret_value()) for secret in secrets)
    return " ".join(signer.sign(name, at, body.decode()) for signer in signers)


def render(message: Message, *, redact: bool = False) -> bytes:
    """The body. A pure function of the message, so all attempts send the same bytes."""
    status = "test" if message.type == "test" else _status(message)
    return _encode(
        {
            "type": message.type,
            "timestamp": _time(message.at),
            "data": {
                "notification_id": message.id,
                "channel": message.channel,
                "status": status,
                "group": _texts(message.labels),
                "alerts": [_alert(one, redact=redact) for one in message.alerts],
                "truncated": message.truncated,
            },
        }
    )


def _status(message: Message) -> str:
    """Of the last entry, which is the one that gives the message its type."""
    return message.alerts[-1].entry.status if message.alerts else "firing"


def _alert(one: Numbered, *, redact: bool) -> dict[str, Any]:
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
    """Milliseconds and Z."""
    return None if at is None else f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"
