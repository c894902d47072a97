"""`slack`: an incoming webhook, or a bot that keeps what belongs together in one thread or one message.

Facts: docs.slack.dev/messaging/sending-messages-using-incoming-webhooks, and for bots
docs.slack.dev/reference/methods/chat.postMessage and …/chat.update. A webhook can neither edit nor answer its messages.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal, Self

import msgspec
from pydantic import Field, SecretStr, model_validator

from monitor.channels.answers import Gone
from monitor.channels.base import ChannelSettings, SecretUrl, ServerUrl, Token
from monitor.channels.http import ECHO_MAX, Http, Reply
from monitor.channels.poster import Poster
from monitor.channels.refs import first_of, told
from monitor.channels.slack_answers import GONE_ERRORS, Said, failure, read
from monitor.channels.slack_blocks import render
from monitor.engine.ports import Channel
from monitor.fields import RateLimit
from monitor.model.group import Message, Receipt

_API = "https://slack.com/api"
_CONTENT_TYPE = "application/json; charset=utf-8"
_encode = msgspec.json.Encoder().encode


class Slack(ChannelSettings):
    """`chat: {type: slack, url: {env: SLACK_URL}}` or `{type: slack, token: {env: SLACK_TOKEN}, channel: C0123}`"""

    RATE: ClassVar[RateLimit | None] = RateLimit(requests=1, per=timedelta(seconds=1))

    type: Literal["slack"]
    url: SecretUrl | None = Field(default=None, description="of an incoming webhook")
    token: Token | None = Field(default=None, description="of a bot with the scope chat:write, instead of a url")
    channel: str | None = Field(default=None, description="of a bot: its id (C0123…), where the bot is a member")
    follow_ups: Literal["thread", "update"] = Field(
        default="thread",
        description="of a bot: later news answer the first message, or replace it unheard",
    )
    base_url: ServerUrl = Field(default=_API, description="of the Web API, for a bot")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.url is None) == (self.token is None):
            raise ValueError("slack needs the url of an incoming webhook, or the token of a bot and its channel")
        if (self.token is None) != (self.channel is None):
            raise ValueError("a bot needs `token` and `channel`; the url of an incoming webhook names its channel")
        return self

    def connect(self, http: Http) -> Channel:
        if self.url is None:
            return SlackBot(self, http)
        return Poster(self, http, self.url, render, classify, _CONTENT_TYPE)


def classify(reply: Reply) -> str:
    """`ok`, or the DeliveryError for what a webhook said."""
    said = reply.text.strip()
    if reply.status == 200 and said == "ok":
        return said
    raise failure(reply, read(said))


class Place(msgspec.Struct, frozen=True, array_like=True):
    """A message of the bot: its channel, its name there, and how many alerts it told of. The channel's `ref`."""

    channel: str
    ts: str
    alerts: int


@dataclass(frozen=True, slots=True)
class SlackBot:
    """Posts by the Web API. News of alerts that one message began with answer that message, also in the channel, or
    replace it where it told of nothing else. What cannot be answered or edited any more is a new message."""

    spec: Slack
    http: Http

    async def send(self, message: Message, now: datetime) -> Receipt:
        payload = render(message, redact=bool(self.spec.redact))
        if (root := first_of(message, Place)) is not None:
            with suppress(Gone):
                said = await self._follow(root, message, payload, now)
                # Without a ref the one it has is kept: the next news belong there too.
                return Receipt(f"ok {said.ts}")
        said = await self._call("chat.postMessage", {**payload, "channel": self.spec.channel}, now)
        place = Place(said.channel or self.spec.channel or "", said.ts, len(told(message)))
        return Receipt(f"ok {said.ts}", _encode(place).decode())

    async def _follow(self, root: Place, message: Message, payload: dict[str, Any], now: datetime) -> Said:
        """Answer or replace a message."""
        if self.spec.follow_ups == "update" and len(told(message)) == root.alerts:
            return await self._call("chat.update", {**payload, "channel": root.channel, "ts": root.ts}, now)
        where = {"channel": root.channel, "thread_ts": root.ts, "reply_broadcast": True}
        return await self._call("chat.postMessage", {**payload, **where}, now)

    async def _call(self, method: str, payload: dict[str, Any], now: datetime) -> Said:
        """Only `200 {"ok": true}` counts. Raises DeliveryError: Gone when its message is."""
        assert self.spec.token is not None, "the settings made sure"
        headers = {"Content-Type": _CONTENT_TYPE, "Authorization": f"Bearer {self.spec.token.get_secret_value()}"}
        url = SecretStr(f"{self.spec.base_url}/{method}")
        reply = await self.http.post(
            url, _encode(payload), headers, now, self.spec.timeout, most=ECHO_MAX, secrets=self.spec.secrets()
        )
        said = read(reply.text)
        if reply.status == 200 and said.ok:
            return said
        raise Gone(said.error) if said.error in GONE_ERRORS else failure(reply, said)
