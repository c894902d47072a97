"""`mattermost`: an incoming webhook of a Mattermost server.

Mattermost renders Markdown, makes emoji of `:words:`, and notifies for `@all` and `<!channel>` also from attachments.
So what comes from outside stands as it is only where nothing in it can do any of that, and else in a code span.
Facts: developers.mattermost.com/integrate/webhooks/incoming and …/integrate/reference/message-attachments.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar, Literal

import msgspec

from monitor.channels import words
from monitor.channels.answers import failure
from monitor.channels.base import ChannelSettings, SecretUrl
from monitor.channels.http import Http, Reply
from monitor.channels.poster import Poster
from monitor.channels.text import clean, cut, utf16
from monitor.channels.words import Pen, Tone
from monitor.engine.ports import Channel
from monitor.errors import DeliveryRejected
from monitor.fields import RateLimit
from monitor.model.group import Message, Numbered
from monitor.model.record import Entry

Attachment = dict[str, Any]

#: Documented: text above 16 383 characters is split into several posts. We keep the whole payload below that.
TOTAL_MAX = 16_000
#: Of that, kept for everything but the alerts.
FRAME = 4_000
#: One name in a line of ours, of which a line has four at most.
NAME_MAX = 60
VALUE_MAX = 120
SUMMARY_MAX = 900

_COLOURS: dict[Tone, str] = {"critical": "#d00000", "warning": "#e8a33d", "info": "#439fe0", "good": "#2eb67d"}
#: Words of letters and digits, with what people put between and behind them; never at the beginning what could begin
#: a list, never `_ * ~ ` # | < > [ ] @ $ \ &`, a colon only where no emoji or address can follow.
_HARMLESS = re.compile(r"(?!\d+[.)](?:\s|$)|www\.)[^\W_](?:[^\W_]|[ .,%'\"()/+·•…–—!?-]|[:;](?=\s))*(?<!\s)")
_LINKED = re.compile(r"www\.", re.IGNORECASE)
#: Words of their error ids and messages about a hook that cannot post, whatever it is.
_NOT_THE_MESSAGE = re.compile(
    r"couldn't find the (?:channel|user)|invalid webhook"
    r"|\.(?:disabled|invalid|channel|user|permissions|channel_locked)\.app_error",
    re.IGNORECASE,
)
_encode = msgspec.json.Encoder().encode


class Mattermost(ChannelSettings):
    """`team: {type: mattermost, url: {env: MATTERMOST_URL}}`"""

    RATE: ClassVar[RateLimit | None] = RateLimit(requests=1, per=timedelta(seconds=1))

    type: Literal["mattermost"]
    url: SecretUrl

    def connect(self, http: Http) -> Channel:
        return Poster(self, http, self.url, render, classify)


def classify(reply: Reply) -> str:
    """`ok`, or the DeliveryError for what was said instead."""
    if reply.status == 200 and reply.text.strip() == "ok":
        return "ok"
    if reply.status in (400, 501) and _NOT_THE_MESSAGE.search(reply.text):
        raise DeliveryRejected(reply.why, "channel")
    raise failure(reply)


def render(message: Message, *, redact: bool = False) -> dict[str, Any]:
    """A line of text, and an attachment for every alert, or one for all."""
    pen = Pen(lambda raw: bare(raw, NAME_MAX), redact)
    preview = words.preview(message, pen)
    attachments = list(_attachments(message, pen))
    attachments[-1]["footer"] = " ".join(words.footer(message))
    colour = _COLOURS[words.tone(message)]
    return {"text": preview, "attachments": [{"fallback": preview, "color": colour, **one} for one in attachments]}


def bare(raw: str, limit: int) -> str:
    """Text from outside as it is when nothing in it can format, link or notify, else as a code span.

    The server rewrites `<!channel>` and the like before it looks at Markdown, so `<` and `@` are broken there too.
    """
    raw = cut(clean(raw), limit)
    if _HARMLESS.fullmatch(raw) and not _LINKED.search(raw):
        return raw
    broken = raw.replace("`", "ˋ").replace("@", "@\u200b").replace("<", "<\u200b")
    return f"`{broken or '-'}`"


def _attachments(message: Message, pen: Pen) -> Iterator[Attachment]:
    """Every alert with its fields if there are few, else a line each, as many as fit; never none."""
    layout = words.lay_out(
        message,
        lambda one: _card(one, pen),
        lambda entry: _line(entry, pen),
        TOTAL_MAX - FRAME,
        card_size=size,
        size=lambda line: size(line) + 1,
    )
    yield from layout.cards
    if told := [*layout.lines, *layout.more] or ([] if layout.cards else [words.title(message, pen)]):
        yield {"text": "\n".join(told)}


def _card(one: Numbered, pen: Pen) -> Attachment:
    fields = [
        {"short": True, "title": name, "value": bare(value, VALUE_MAX)} for name, value in words.fields(one.entry, pen)
    ]
    said = [bare(words.summary(one.entry, pen), SUMMARY_MAX)]
    if link := words.runbook(one.entry):
        said.append(f"[Runbook]({_target(link)})")
    return {"text": "\n".join(said), "fields": fields}


def _line(entry: Entry, pen: Pen) -> str:
    row = words.row(entry, pen)
    parts = (bare(part, VALUE_MAX) for part in (row.rule, row.where, row.value) if part)
    return " ".join([f"**{row.status}** {row.severity}", *parts])


def _target(link: str) -> str:
    """A link that no character of its own ends early, and in which nobody is mentioned."""
    return re.sub(r"[()\[\]@!*]", lambda found: f"%{ord(found[0]):02X}", link)


def size(part: object) -> int:
    """Characters of it within a payload."""
    return utf16(_encode(part).decode())
