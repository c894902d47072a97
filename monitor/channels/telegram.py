"""`telegram`: a bot that writes into a chat, a group, a topic of a forum, or a channel.

Facts: core.telegram.org/bots/api#sendmessage and #making-requests; the descriptions of failures are those of
github.com/tdlib/telegram-bot-api, telegram-bot-api/Client.cpp.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import structlog
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo

from monitor.channels.answers import Gone, understood
from monitor.channels.base import ChannelSettings, ServerUrl, read
from monitor.channels.http import ECHO_MAX, Http, Reply, asked
from monitor.channels.refs import first_of
from monitor.channels.telegram_text import render
from monitor.engine.ports import Channel
from monitor.errors import DeliveryDeferred, DeliveryError, DeliveryRejected
from monitor.fields import RateLimit, Secret, unread
from monitor.model.group import Message, Receipt

log = structlog.get_logger("monitor.channels")

_IN_A_PATH = re.compile(r"[A-Za-z0-9:_-]+", re.ASCII)
_TOKEN = re.compile(r"\d+:[A-Za-z0-9_-]{30,}", re.ASCII)
#: 400 is what the API answers to nearly everything; what is at fault stands in the words.
_CHANNEL = re.compile(
    r"chat not found|user not found|chat_id is empty|group chat was deactivated|thread not found|topic_(closed|deleted)"
    r"|(no|not enough|administrator) rights|chat_(write_forbidden|restricted|admin_required)|channel_private"
    r"|peer_id_invalid|user is deactivated|bot was (blocked|kicked)|not a member",
    re.IGNORECASE,
)
_GONE = re.compile(r"repl(y|ied) .*not found", re.IGNORECASE)
_LATER = re.compile(r"internal|time(d )?out|try again|flood", re.IGNORECASE)
_HEADERS = {"Content-Type": "application/json"}
_encode = msgspec.json.Encoder().encode


def _pathable(token: SecretStr, info: ValidationInfo) -> SecretStr:
    if read(info) and not _IN_A_PATH.fullmatch(token.get_secret_value()):
        raise ValueError("a bot's token is letters and digits like 123456:ABC-DEF, as @BotFather gives it")
    return token


ChatName = Annotated[str, Field(pattern=r"^@[A-Za-z][A-Za-z0-9_]{3,}$")]
_CHAT = re.compile(r"@[A-Za-z][A-Za-z0-9_]{3,}|-?\d{1,16}", re.ASCII)


def _chat(chat: object) -> object:
    # Numbers have 52 bits at most; one that is longer than 64 could not even be written into a message.
    if isinstance(chat, str | int) and not _CHAT.fullmatch(str(chat)):
        raise ValueError("a chat is a number, negative for a group, or the @name of a public channel")
    return chat


class Telegram(ChannelSettings):
    """`traders: {type: telegram, token: {env: TG_TOKEN}, chat_id: -1001234567890}`"""

    #: Of groups: 20 in a minute.
    RATE: ClassVar[RateLimit | None] = RateLimit(requests=1, per=timedelta(seconds=3))
    PRIVATE_RATE: ClassVar[RateLimit] = RateLimit(requests=1, per=timedelta(seconds=1))

    type: Literal["telegram"]
    token: Annotated[Secret, AfterValidator(_pathable)] = Field(description="of a bot, from @BotFather")
    chat_id: Annotated[int | ChatName, BeforeValidator(_chat)] = Field(
        description="of a chat (a group's is negative), or a channel's @name"
    )
    thread_id: int | None = Field(default=None, ge=1, description="of a topic in a forum")
    base_url: ServerUrl = Field(default="https://api.telegram.org", description="of the Bot API")

    def connect(self, http: Http) -> Channel:
        return TelegramChannel(self, http)

    def rate(self) -> RateLimit | None:
        """One person may be told more often than a group."""
        private = isinstance(self.chat_id, int) and self.chat_id > 0
        return self.rate_limit or (self.PRIVATE_RATE if private else self.RATE)

    def warnings(self) -> tuple[str, ...]:
        usual = unread(self.token) or _TOKEN.fullmatch(self.token.get_secret_value())
        odd = () if usual else ("token does not look like a bot's token (123456:ABC-DEF…)",)
        return (*super().warnings(), *odd)


class Migrated(DeliveryDeferred):
    """The group has become a supergroup, under another id."""

    def __init__(self, chat: int) -> None:
        super().__init__(f"the chat's id is {chat} now")
        self.chat = chat


class Place(msgspec.Struct, frozen=True, array_like=True):
    """A message in a chat. The channel's `ref`."""

    chat: int
    message: int


@dataclass(frozen=True, slots=True)
class TelegramChannel:
    """Later news of the alerts that one message began with answer that message. One that is gone is not answered."""

    spec: Telegram
    http: Http
    #: Where the chat has moved to, as far as this process has been told.
    moved: dict[int | str, int] = field(default_factory=dict)

    async def send(self, message: Message, now: datetime) -> Receipt:
        payload = render(message, redact=bool(self.spec.redact))
        if self.spec.thread_id is not None:
            payload["message_thread_id"] = self.spec.thread_id
        first = first_of(message, Place)
        sent = await self._post(payload, first, message.channel, now)
        # Without a ref the one it has is kept: the next news belong there too.
        known = sent.message == 0 or (first is not None and first.chat == sent.chat)
        return Receipt(f"ok {sent.message}", "" if known else _encode(sent).decode())

    async def _post(self, payload: dict[str, Any], first: Place | None, channel: str, now: datetime) -> Place:
        """Send; a chat that moved, or a message to answer that is gone, costs no attempt."""
        chat = self.moved.get(self.spec.chat_id, self.spec.chat_id)
        try:
            return await self._call({"chat_id": chat, **_answering(first, chat), **payload}, now)
        except Migrated as moved:
            chat = self.moved[self.spec.chat_id] = moved.chat
            log.warning("telegram.chat_moved", channel=channel, chat_id=chat, advice="set this chat_id")
            return await self._call({"chat_id": chat, **_answering(first, chat), **payload}, now)
        except Gone:
            return await self._call({"chat_id": chat, **payload}, now)

    async def _call(self, payload: Mapping[str, Any], now: datetime) -> Place:
        url = SecretStr(f"{self.spec.base_url}/bot{self.spec.token.get_secret_value()}/sendMessage")
        body, secrets = _encode(payload), self.spec.secrets()
        return classify(
            await self.http.post(url, body, _HEADERS, now, self.spec.timeout, most=ECHO_MAX, secrets=secrets)
        )


class _Chat(msgspec.Struct):
    id: int = 0


class _Result(msgspec.Struct):
    message_id: int = 0
    chat: _Chat = msgspec.field(default_factory=_Chat)


class _Parameters(msgspec.Struct):
    retry_after: float | None = None
    migrate_to_chat_id: int | None = None


class _Said(msgspec.Struct):
    """How the Bot API answers."""

    ok: bool
    description: str = ""
    parameters: _Parameters = msgspec.field(default_factory=_Parameters)
    # `true` where an edit changed nothing.
    result: _Result | bool | None = None


def classify(reply: Reply) -> Place:
    """The message that was sent, or the DeliveryError for what Telegram said."""
    said = understood(reply.text, _Said)
    if reply.status == 200 and said is not None and said.ok:
        sent = said.result if isinstance(said.result, _Result) else _Result()
        return Place(sent.chat.id, sent.message_id)
    raise _failure(reply, said)


def _failure(reply: Reply, said: _Said | None) -> DeliveryError:
    why = reply.why
    if reply.status == 429:
        return DeliveryDeferred(why, _wait(said) if _wait(said) is not None else reply.wait)
    if said is None:
        # A proxy's: nothing is known of the bot, but that there is no API in this place.
        return DeliveryRejected(why, "channel") if reply.status == 404 else DeliveryDeferred(why, reply.wait)
    if said.parameters.migrate_to_chat_id is not None:
        return Migrated(said.parameters.migrate_to_chat_id)
    if reply.status in (401, 403, 404):
        return DeliveryRejected(why, "channel")
    return _at_fault(said.description, why) if reply.status in (400, 413) else DeliveryDeferred(why, reply.wait)


def _at_fault(description: str, why: str) -> DeliveryError:
    """What a 400 means. An unknown one is about this message."""
    if _GONE.search(description):
        return Gone(why)
    if _CHANNEL.search(description):
        return DeliveryRejected(why, "channel")
    return DeliveryDeferred(why) if _LATER.search(description) else DeliveryRejected(why, "message")


def _wait(said: _Said | None) -> timedelta | None:
    return None if said is None else asked(said.parameters.retry_after)


def _answering(first: Place | None, chat: int | str) -> dict[str, Any]:
    """What makes a message an answer. In another chat the number is of another message; a name may be any chat's."""
    if first is None or (isinstance(chat, int) and chat != first.chat):
        return {}
    return {"reply_parameters": {"message_id": first.message, "allow_sending_without_reply": True}}
