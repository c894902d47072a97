"""`discord`: a webhook of a channel or a thread.

Facts: discord/discord-api-docs, developers/resources/webhook.mdx, developers/topics/rate-limits.mdx and
opcodes-and-status-codes.mdx.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec
from pydantic import AfterValidator, Field, SecretStr, ValidationInfo

from monitor.channels.answers import Gone, understood
from monitor.channels.base import ChannelSettings, SecretUrl, read
from monitor.channels.discord_embeds import render
from monitor.channels.http import ECHO_MAX, Http, Reply, asked
from monitor.channels.refs import first_of, told
from monitor.engine.ports import Channel
from monitor.errors import DeliveryDeferred, DeliveryError, DeliveryRejected
from monitor.fields import RateLimit
from monitor.model.group import Message, Receipt

#: What was to be edited was deleted, is older than an hour and was edited too often, or is not ours any more.
GONE_CODES = frozenset({10008, 30046, 50005})
#: Cloudflare's block in the words of their API (discord-api-docs#6473).
BLOCKED_CODE = 40333
#: Ten thousand refusals in ten minutes make Cloudflare ban an address for an hour: knock rarely where it refuses us.
BANNED_WAIT = timedelta(minutes=10)
_HEADERS = {"Content-Type": "application/json"}
_encode = msgspec.json.Encoder().encode


def _executed(url: SecretStr, info: ValidationInfo) -> SecretStr:
    if read(info) and urlsplit(url.get_secret_value()).path.rstrip("/").endswith(("/slack", "/github")):
        raise ValueError("use the webhook's URL as Discord shows it, without /slack or /github behind it")
    return url


class Discord(ChannelSettings):
    """`chat: {type: discord, url: {env: DISCORD_URL}}`"""

    # Staff's numbers: 5 in 2 s per webhook and 30 in 60 s per channel.
    RATE: ClassVar[RateLimit | None] = RateLimit(requests=1, per=timedelta(seconds=2))

    type: Literal["discord"]
    url: Annotated[SecretUrl, AfterValidator(_executed)] = Field(
        description="of a webhook (channel settings, Integrations); ?thread_id=… posts into a thread"
    )
    resolve: Literal["post", "edit"] = Field(
        default="post",
        description="how an end is told: a new message, or an edit of the last one, which notifies nobody",
    )

    def connect(self, http: Http) -> Channel:
        return DiscordChannel(self, http)


class Posted(msgspec.Struct, frozen=True, array_like=True):
    """A message in Discord: its id, and how many alerts it told of. The channel's `ref`."""

    id: str
    alerts: int


@dataclass(frozen=True, slots=True)
class DiscordChannel:
    """Every piece of news is a message of its own, so that nobody misses it; with `resolve: edit` the end of all alerts
    of a message replaces that message. One that is gone is posted anew."""

    spec: Discord
    http: Http

    async def send(self, message: Message, now: datetime) -> Receipt:
        body = _encode(render(message, redact=bool(self.spec.redact)))
        if self.spec.resolve == "edit" and (before := _replaced(message)) is not None:
            try:
                await self._call("PATCH", self._url(before.id), body, now)
                return Receipt(f"edited {before.id}")
            except Gone:
                pass
        posted = await self._call("POST", self._url(), body, now)
        return Receipt(f"ok {posted}", _encode(Posted(posted, len(told(message)))).decode())

    async def _call(self, method: str, url: SecretStr, body: bytes, now: datetime) -> str:
        """The message's id."""
        if held := self.http.held(url, now):
            raise DeliveryDeferred("Discord asked everybody to wait", held)
        reply = await self.http.post(
            url, body, _HEADERS, now, self.spec.timeout, method=method, most=ECHO_MAX, secrets=self.spec.secrets()
        )
        said = understood(reply.text, Said)
        if reply.status == 429 and said is not None and said.throttles_all:
            self.http.hold(url, now + (_wait(said) or timedelta(0)))
        return classify(reply)

    def _url(self, edited: str = "") -> SecretStr:
        """Where to post, or what to edit. Without `wait` nobody says whether a message was saved."""
        parts = urlsplit(self.spec.url.get_secret_value())
        others = [(name, value) for name, value in parse_qsl(parts.query) if name != "wait"]
        path = parts.path.rstrip("/") + (f"/messages/{edited}" if edited else "")
        query = urlencode(others if edited else [("wait", "true"), *others])
        return SecretStr(urlunsplit((parts.scheme, parts.netloc, path, query, "")))


class Said(msgspec.Struct):
    """How their API answers: a message, an error, or its rate limiter."""

    id: str = ""
    code: int | None = None
    message: str = ""
    retry_after: float | None = None
    throttles_all: bool = msgspec.field(name="global", default=False)


def classify(reply: Reply) -> str:
    """The id of the message that Discord saved, or the DeliveryError for what it said."""
    said = understood(reply.text, Said)
    if reply.status == 200 and said is not None and said.id.isdigit():
        return said.id
    raise _failure(reply, said)


def _failure(reply: Reply, said: Said | None) -> DeliveryError:
    why = reply.why
    if reply.status == 429:
        asked = _wait(said)
        return DeliveryDeferred(why, max(reply.wait or BANNED_WAIT, BANNED_WAIT) if asked is None else asked)
    if said is not None and said.code is None and reply.status == 400:
        # What is wrong, by the name of its part: {"embeds": ["0"]}.
        return DeliveryRejected(why, "message")
    if said is None or said.code in (None, BLOCKED_CODE):
        # Cloudflare, or a proxy: it says nothing about the webhook, not even with a 401 or a 404.
        return DeliveryDeferred(why, BANNED_WAIT if reply.status == 403 else reply.wait)
    if said.code in GONE_CODES:
        return Gone(why)
    if reply.status in (401, 403, 404):
        return DeliveryRejected(why, "channel")
    if reply.status in (400, 413):
        return DeliveryRejected(why, "message")
    return DeliveryDeferred(why, reply.wait)


def _wait(said: Said | None) -> timedelta | None:
    """The exact wait, which their header rounds up."""
    return None if said is None else asked(said.retry_after)


def _replaced(message: Message) -> Posted | None:
    """The one message that told of these alerts, all of which are over, and of no other."""
    if any(one.entry.status != "resolved" for one in message.alerts):
        return None
    before = first_of(message, Posted)
    return before if before is not None and before.alerts == len(told(message)) else None
