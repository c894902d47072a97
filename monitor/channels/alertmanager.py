"""`alertmanager`: alerts for Prometheus' Alertmanager, which groups, silences and tells them in its own way.

Facts: github.com/prometheus/alertmanager, api/v2/openapi.yaml, docs/alerts_api.md and docs/high_availability.md. It
forgets what it does not hear of, so what fires is sent again and again.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

import msgspec
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo, field_validator

from monitor.channels.alertmanager_alerts import alerts_of, posted
from monitor.channels.answers import failure
from monitor.channels.base import ChannelSettings, SecretUrl, as_list, read
from monitor.channels.http import Http, Reply
from monitor.channels.singly import verdict
from monitor.engine.ports import Channel
from monitor.errors import DeliveryDeferred, DeliveryError, DeliveryRejected
from monitor.fields import Duration
from monitor.model.group import Message, Receipt

#: For how long an alert stands there that nobody sends again, in beats: some may be late, or lost.
STANDS = 5
#: For how long what is over is sent again: an instance that was away hears of it when it is back.
LINGER = timedelta(minutes=5)
BEAT_MIN, BEAT_MAX = timedelta(seconds=1), timedelta(hours=1)
INSTANCES_MAX = 10

#: The path that is ours to add; a proxy's prefix stands before it.
_API = re.compile(r"/api/v[12](/alerts)?/?$")
_JSON = {"Content-Type": "application/json"}
_encode = msgspec.json.Encoder().encode

#: What became of each alert of a message, by its place, at one instance: no entry where it was taken.
_Failed = Mapping[int, DeliveryError]


def _before_the_api(url: SecretStr, info: ValidationInfo) -> SecretStr:
    parts = urlsplit(url.get_secret_value()) if read(info) else urlsplit("")
    if parts.query or parts.fragment or _API.search(parts.path):
        raise ValueError("this is the url before /api/v2/alerts, which is added, like http://alertmanager:9093")
    return url


BaseUrl = Annotated[SecretUrl, AfterValidator(_before_the_api)]
_Urls = BaseUrl | Annotated[tuple[BaseUrl, ...], Field(min_length=1, max_length=INSTANCES_MAX)]


class Alertmanager(ChannelSettings):
    """`metrics: {type: alertmanager, url: "http://alertmanager:9093"}`"""

    TOGETHER: ClassVar[bool] = False

    type: Literal["alertmanager"]
    url: Annotated[tuple[BaseUrl, ...], BeforeValidator(as_list, json_schema_input_type=_Urls)] = Field(
        min_length=1, max_length=INSTANCES_MAX, description="before /api/v2/alerts; of a cluster every instance's"
    )
    beat: Duration = Field(
        default=timedelta(minutes=1),
        description="how often it hears what still fires; after five without it forgets",
    )

    def connect(self, http: Http) -> Channel:
        return AlertmanagerChannel(self, http)

    def beats(self) -> tuple[timedelta, timedelta] | None:
        return self.beat, max(LINGER, self.beat)

    @field_validator("beat")
    @classmethod
    def _sensible(cls, beat: timedelta) -> timedelta:
        if not BEAT_MIN <= beat <= BEAT_MAX:
            raise ValueError("beat must be at least 1s and at most 1h")
        return beat


@dataclass(frozen=True, slots=True)
class _Instance:
    """One of a cluster."""

    url: SecretStr
    http: Http
    timeout: timedelta | None

    async def tell(self, alerts: Sequence[Sequence[Mapping[str, Any]]], now: datetime) -> _Failed:
        """All of them at once; where it minds one of them, one by one, for it does not say which."""
        try:
            await self._post([one for told in alerts for one in told], now)
        except DeliveryRejected as error:
            if error.fault == "channel" or len(alerts) < 2:
                return dict.fromkeys(range(len(alerts)), error)
        except DeliveryError as error:
            return dict.fromkeys(range(len(alerts)), error)
        else:
            return {}
        failed: dict[int, DeliveryError] = {}
        for place, told in enumerate(alerts):
            try:
                await self._post(told, now)
            except DeliveryError as error:
                failed[place] = error
        return failed

    async def _post(self, alerts: Sequence[Mapping[str, Any]], now: datetime) -> None:
        url = SecretStr(f"{self.url.get_secret_value().rstrip('/')}/api/v2/alerts")
        classify(await self.http.post(url, _encode(alerts), _JSON, now, self.timeout))


@dataclass(frozen=True, slots=True)
class AlertmanagerChannel:
    spec: Alertmanager
    http: Http

    async def send(self, message: Message, now: datetime) -> Receipt:
        """Tell every instance. What one of them took is taken: the others hear of it with the next beat."""
        redact, stands = bool(self.spec.redact), STANDS * self.spec.beat
        alerts = [[posted(entry, now, stands, redact=redact) for entry in alerts_of(one)] for one in message.alerts]
        instances = [_Instance(url, self.http, self.spec.timeout) for url in self.spec.url]
        results = await asyncio.gather(*(instance.tell(alerts or [[]], now) for instance in instances))
        failed = {place: _likeliest(results, place) for place in range(len(alerts) or 1) if _nowhere(results, place)}
        if failed and not message.alerts:
            raise failed[0]
        if failed:
            raise verdict(message, failed)
        well = sum(not result for result in results)
        if well < len(results):
            return Receipt(f"{well} of {len(results)} took all")
        return Receipt(f"took {len(alerts)}" if alerts else "ok")


def _nowhere(results: Sequence[_Failed], place: int) -> bool:
    return all(place in failed for failed in results)


def _likeliest(results: Sequence[_Failed], place: int) -> DeliveryError:
    """Where nobody took it: what gives the most hope."""
    errors = [failed[place] for failed in results]
    return next((error for error in errors if isinstance(error, DeliveryDeferred)), errors[0])


def classify(reply: Reply) -> str:
    """`ok`, or the DeliveryError for what it said."""
    if reply.status == 200:
        return "ok"
    raise DeliveryRejected(reply.why, "channel") if reply.status == 405 else failure(reply)
