"""`google_chat`: a webhook of a Google Chat space. All messages about one alert stand in one thread.

Facts: developers.google.com/workspace/chat/quickstart/webhooks, …/chat/format-messages and
…/chat/api/reference/rest/v1/spaces.messages/create. Text in cards is HTML; in `text` outside of a card `<users/all>`
pings everybody and `<url|name>` is a link, and no escape is documented, so a space of no width follows every `<`.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import parse_qs, urlsplit

import msgspec
from pydantic import AfterValidator, SecretStr, ValidationInfo

from monitor.channels import words
from monitor.channels.answers import failure
from monitor.channels.base import ChannelSettings, SecretUrl, read
from monitor.channels.http import Http, Reply
from monitor.channels.poster import Poster
from monitor.channels.text import clean, cut, fit, packed
from monitor.channels.words import Pen
from monitor.engine.ports import Channel
from monitor.errors import DeliveryRejected
from monitor.fields import RateLimit
from monitor.model.group import Message, Numbered
from monitor.model.record import Entry

Widget = dict[str, Any]

#: Documented: 32 000 bytes for text and cards together.
TOTAL_MAX = 30_000
#: Of TOTAL_MAX, kept for everything but the alerts.
FRAME = 8_000
TITLE_MAX = 200
#: One name in the text, which has four at most: older servers took no text above 4096 characters.
NAME_MAX = 60
VALUE_MAX = 120
SUMMARY_MAX = 900
#: One paragraph of lines.
PARAGRAPH_MAX = 3_000

_OPTION = "messageReplyOption"
_REPLY = f"{_OPTION}=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"
_HOST = "chat.googleapis.com"
_HARMLESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9@-]*", re.ASCII)
#: In a card's header nobody promises that text is HTML, or that it is not.
_ALIKE = str.maketrans({"<": "‹", ">": "›", "&": "＆"})
_CONTENT_TYPE = "application/json; charset=UTF-8"
_BREAK = "<br>"
#: A wrong key is told as a bad request.
_BAD_KEY = "API key not valid"
_encode = msgspec.json.Encoder().encode


def _whole(url: SecretStr, info: ValidationInfo) -> SecretStr:
    parts = urlsplit(url.get_secret_value()) if read(info) else urlsplit("")
    if parts.hostname == _HOST and not {"key", "token"} <= parse_qs(parts.query).keys():
        # In a shell an unquoted & ends the command, and the token is lost.
        raise ValueError("a Google Chat webhook's url has a key and a token behind its `?`: copy it whole, in quotes")
    return url


class GoogleChat(ChannelSettings):
    """`space: {type: google_chat, url: {env: GOOGLE_CHAT_URL}}`"""

    #: A space takes 60 messages a minute from all its apps together, and less from webhooks.
    RATE: ClassVar[RateLimit | None] = RateLimit(requests=30, per=timedelta(minutes=1))

    type: Literal["google_chat"]
    url: Annotated[SecretUrl, AfterValidator(_whole)]

    def connect(self, http: Http) -> Channel:
        # A thread that is gone is begun anew by Google Chat itself.
        return Poster(self, http, threaded(self.url), render, classify, _CONTENT_TYPE, thread_key)


def threaded(url: SecretStr) -> SecretStr:
    """The same URL, asking for an answer in the thread that the message names."""
    address, _, _ = url.get_secret_value().partition("#")
    if f"{_OPTION}=" in address:
        return url
    return SecretStr(f"{address}{'&' if '?' in address else '?'}{_REPLY}")


def thread_key(message: Message) -> str:
    """The thread in which these alerts were told before, else a new one, named after the first of them.

    What comes from several threads is told in a new one and stays there. Empty for a test.
    """
    refs = {one.ref for one in message.alerts}
    if len(refs) > 1:
        return message.id
    return "".join(refs) or next((one.entry.id for one in message.alerts), "")


def classify(reply: Reply) -> str:
    """`HTTP 200` for a message that was posted, or the DeliveryError for what was said instead."""
    if reply.status == 200 and '"name"' in reply.text:
        return "HTTP 200"
    if reply.status == 400 and _BAD_KEY in reply.text:
        raise DeliveryRejected(reply.why, "channel")
    raise failure(reply)


def render(message: Message, *, redact: bool = False) -> dict[str, Any]:
    """Text for the lock screen, one card, and the thread."""
    pen = Pen(bare, redact)
    title = cut(words.title(message, Pen(clean)).translate(_ALIKE), TITLE_MAX)
    card = {"header": {"title": title}, "sections": list(_sections(message, pen))}
    payload: dict[str, Any] = {
        "text": words.preview(message, pen),
        "cardsV2": [{"cardId": "alert", "card": card}],
    }
    if key := thread_key(message):
        payload["thread"] = {"threadKey": key}
    return payload


def escape(raw: str) -> str:
    """What a card's HTML shows literally."""
    return raw.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def bare(raw: str) -> str:
    """A name for the text: as it is when nothing in it can format or link, else monospaced, its `<` broken."""
    raw = cut(clean(raw), NAME_MAX)
    if _HARMLESS.fullmatch(raw):
        return raw
    broken = raw.replace("`", "ˋ").replace("<", "<\u200b")
    return f"`{broken or '-'}`"


def _sections(message: Message, pen: Pen) -> Iterator[Widget]:
    """Every alert with its fields if there are few, else a line each, as many as fit; the rest is counted."""
    layout = words.lay_out(
        message,
        lambda one: {"widgets": list(_card(one, pen))},
        lambda entry: _line(entry, pen),
        TOTAL_MAX - FRAME,
        card_size=size,
        size=lambda line: size(f"{line}{_BREAK}"),
    )
    yield from layout.cards
    if told := [*packed(layout.lines, PARAGRAPH_MAX, _BREAK), *layout.more]:
        yield {"widgets": [_paragraph(part) for part in told]}
    yield {"widgets": [_paragraph(f"<i>{escape(' '.join(words.footer(message)))}</i>")]}


def _card(one: Numbered, pen: Pen) -> Iterator[Widget]:
    yield _paragraph(fit(words.summary(one.entry, pen), SUMMARY_MAX, escape))
    for name, value in words.fields(one.entry, pen):
        yield {"decoratedText": {"topLabel": name, "text": fit(value, VALUE_MAX, escape), "wrapText": True}}
    if link := words.runbook(one.entry):
        yield {"buttonList": {"buttons": [{"text": "Runbook", "onClick": {"openLink": {"url": link}}}]}}


def _line(entry: Entry, pen: Pen) -> str:
    row = words.row(entry, pen)
    parts = (fit(part, VALUE_MAX, escape) for part in (row.rule, row.where, row.value) if part)
    return " · ".join([f"<b>{row.status}</b> {row.severity}", *parts])


def _paragraph(ready: str) -> Widget:
    return {"textParagraph": {"text": ready}}


def size(part: object) -> int:
    """Bytes of it within a body."""
    return len(_encode(part))
