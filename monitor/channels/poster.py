"""For chats that take a message as one JSON document and say whether they did."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import msgspec
from pydantic import SecretStr

from monitor.channels.base import ChannelSettings
from monitor.channels.http import Http, Reply
from monitor.model.group import Message, Receipt

_encode = msgspec.json.Encoder().encode


class Render(Protocol):
    """Makes the document of a message."""

    def __call__(self, message: Message, *, redact: bool) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Poster:
    """Posts every message to `url`. `classify` is what the destination answered, or raises the DeliveryError for it;
    `ref` is how it finds the message again."""

    spec: ChannelSettings
    http: Http
    url: SecretStr
    render: Render
    classify: Callable[[Reply], str]
    content_type: str = "application/json"
    ref: Callable[[Message], str] = lambda _: ""

    async def send(self, message: Message, now: datetime) -> Receipt:
        body = _encode(self.render(message, redact=bool(self.spec.redact)))
        headers = {"Content-Type": self.content_type}
        reply = await self.http.post(self.url, body, headers, now, self.spec.timeout)
        return Receipt(self.classify(reply), self.ref(message))
