"""`webhook`: the message as JSON, signed as Standard Webhooks 1.0.0 describes."""

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

import standardwebhooks
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo

from monitor.channels.base import ChannelSettings, SecretUrl, as_list, read
from monitor.channels.http import Http, Reply
from monitor.channels.webhook_formats import CONTENT_TYPES, Format, render
from monitor.engine.ports import Channel
from monitor.errors import DeliveryDeferred, DeliveryRejected
from monitor.fields import Secret
from monitor.model.group import Message, Receipt

_PREFIX = "whsec_"


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


SigningSecret = Annotated[Secret, AfterValidator(_signing)]
_Secrets = SigningSecret | Annotated[tuple[SigningSecret, ...], Field(max_length=2)]


class Webhook(ChannelSettings):
    """`ops: {type: webhook, url: {env: OPS_URL}, secret: {env: OPS_SECRET}}`"""

    type: Literal["webhook"]
    url: SecretUrl
    secret: Annotated[tuple[SigningSecret, ...], BeforeValidator(as_list, json_schema_input_type=_Secrets)] = Field(
        default=(), max_length=2, description="whsec_…; [new, old] while rotating; unsigned without"
    )

    format: Format = Field(
        default="standard", description="of the body: ours, a CloudEvent 1.0 with the same data, or Alertmanager's own"
    )

    def connect(self, http: Http) -> Channel:
        return WebhookChannel(self, http)


@dataclass(frozen=True, slots=True)
class WebhookChannel:
    spec: Webhook
    http: Http

    async def send(self, message: Message, now: datetime) -> Receipt:
        """Sign and post; every attempt has the same id and body and its own timestamp.

        Receivers refuse what was not signed just now by their clock: a store's that was set forward is told of too.
        """
        body = render(message, self.spec.format, redact=bool(self.spec.redact))
        headers = _headers(self.spec, message.id, body, self.http.clock())
        reply = await self.http.post(self.spec.url, body, headers, now, self.spec.timeout)
        return Receipt(classify(reply, self.spec.format))


def classify(reply: Reply, form: Format = "standard") -> str:
    """2xx is success and 410 the end; whatever else a receiver says, it may say otherwise later.

    But for 415 to a CloudEvent, which says that it takes no such thing (cloudevents/spec, http-webhook.md).
    """
    if 200 <= reply.status < 300:
        return f"HTTP {reply.status}"
    if reply.status == 410:
        raise DeliveryRejected(reply.why, "channel")
    if reply.status == 415 and form == "cloudevents":
        raise DeliveryRejected(reply.why, "message")
    raise DeliveryDeferred(reply.why, reply.wait)


def _headers(spec: Webhook, name: str, body: bytes, now: datetime) -> dict[str, str]:
    headers = {
        "Content-Type": CONTENT_TYPES[spec.format],
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
