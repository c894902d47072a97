"""`pagerduty`: Events API v2, one incident for each alert."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import structlog
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo

from monitor.channels.base import ChannelSettings, ServerUrl, as_list, insecure, read
from monitor.channels.http import Http
from monitor.channels.pagerduty_events import CLIENT, TEST_KEY, Level, classify, dedup_key, event, resolve
from monitor.channels.singly import Singly
from monitor.engine.ports import Channel
from monitor.errors import DeliveryRejected
from monitor.fields import Secret
from monitor.model.alert import Severity
from monitor.model.event import digest
from monitor.model.group import Message, Numbered, Receipt

log = structlog.get_logger("monitor.pagerduty")

_API = "https://events.pagerduty.com"
_JSON = {"Content-Type": "application/json; charset=utf-8"}
#: What is kept of a routing key to tell it from another one: nothing leads back from it.
_MARK = 12
_encode = msgspec.json.Encoder().encode


def _integration(key: SecretStr, info: ValidationInfo) -> SecretStr:
    plain = key.get_secret_value()
    if read(info) and not (len(plain) == 32 and plain.isalnum() and plain.isascii()):
        raise ValueError("a routing key is the 32 letters and digits of an `Events API V2` integration")
    return key


RoutingKey = Annotated[Secret, AfterValidator(_integration)]
_Keys = RoutingKey | Annotated[tuple[RoutingKey, ...], Field(min_length=1, max_length=2)]


class PagerDuty(ChannelSettings):
    """`pager: {type: pagerduty, routing_key: {env: PD_KEY}}`"""

    TOGETHER: ClassVar[bool] = False

    type: Literal["pagerduty"]
    routing_key: Annotated[tuple[RoutingKey, ...], BeforeValidator(as_list, json_schema_input_type=_Keys)] = Field(
        min_length=1, max_length=2, description="of an `Events API V2` integration; [new, old] while incidents are open"
    )
    severities: Mapping[Severity, Level] = Field(
        default_factory=dict, description="ours → theirs (critical, error, warning, info); default: the same"
    )
    base_url: ServerUrl = Field(default=_API, description="EU: events.eu.pagerduty.com")

    def connect(self, http: Http) -> Channel:
        return PagerDutyChannel(self, http)

    def warnings(self) -> tuple[str, ...]:
        clear = "base_url is http: everybody on the way can read the routing key, use https"
        return (clear,) if insecure(self.base_url) else ()


@dataclass(frozen=True, slots=True)
class PagerDutyChannel:
    """Its `ref` is a mark of the routing key an alert was opened with: only that one reaches the incident again."""

    spec: PagerDuty
    http: Http
    singly: Singly = field(default_factory=Singly)

    async def send(self, message: Message, now: datetime) -> Receipt:
        """An event for each alert; done when all are taken."""
        if not message.alerts:
            return Receipt(await self._post(resolve(TEST_KEY), self.spec.routing_key[0], now))
        used: set[SecretStr] = set()

        async def send(one: Numbered) -> None:
            used.add(await self._tell(message, one, now))

        await self.singly.send(message, lambda one: dedup_key(one.entry), send)
        # Alerts with other keys keep theirs, so nothing is said where they differ.
        ref = mark(self.spec.routing_key[0]) if used == {self.spec.routing_key[0]} else ""
        return Receipt(f"took {len(message.alerts)}", ref)

    async def _tell(self, message: Message, one: Numbered, now: datetime) -> SecretStr:
        """Send one event, by the key that its incident was opened with; returns the one that was taken."""
        newest, *older = self.spec.routing_key
        opened = next((key for key in self.spec.routing_key if mark(key) == one.ref), None)
        told = event(message, one, redact=bool(self.spec.redact), severities=self.spec.severities)
        lost = bool(one.ref) and opened is None
        if opened is None and one.entry.status == "resolved":
            # An end without a beginning is dropped there: where nobody knows which one it was, every key is told.
            for key in older:
                with suppress(DeliveryRejected):
                    await self._post(told, key, now)
        elif opened is not None and opened != newest:
            try:
                await self._post(told, opened, now)
                return opened
            except DeliveryRejected:
                lost = True
        if lost:
            log.warning("pagerduty.routing_key_changed", channel=message.channel, alert=one.entry.id)
        await self._post(told, newest, now)
        return newest

    async def _post(self, told: dict[str, Any], key: SecretStr, now: datetime) -> str:
        url = SecretStr(f"{self.spec.base_url}/v2/enqueue")
        body = _encode({"routing_key": key.get_secret_value(), **told})
        return classify(await self.http.post(url, body, _JSON, now, self.spec.timeout, secrets=self.spec.routing_key))


def mark(key: SecretStr) -> str:
    """What tells a routing key from others without telling it."""
    return digest(CLIENT, key.get_secret_value())[:_MARK]
