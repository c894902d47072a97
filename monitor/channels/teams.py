"""`teams`: Microsoft Teams, by a webhook of Workflows (Power Automate) that posts an Adaptive Card.

Every text stands in a TextRun, which has no Markdown, so no label can link or format. Facts:
learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using and
adaptivecards.io/explorer/TextRun.html; Teams takes up to 28 kB a card, measured within the flow, after it has said 202.
"""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

import msgspec
from pydantic import AfterValidator, SecretStr, ValidationInfo

from monitor.channels import words
from monitor.channels.answers import failure
from monitor.channels.base import ChannelSettings, SecretUrl, read
from monitor.channels.http import Http, Reply
from monitor.channels.poster import Poster
from monitor.channels.text import clean, cut
from monitor.channels.words import Pen, Tone
from monitor.engine.ports import Channel
from monitor.errors import DeliveryRejected
from monitor.fields import RateLimit
from monitor.model.group import Message, Numbered
from monitor.model.record import Entry

Element = dict[str, Any]

#: Of the whole body, in bytes, with every character beyond ASCII written as an escape: a flow may write it so.
TOTAL_MAX = 20_000
#: Of that, kept for everything but the alerts: envelope, first line, links and ids.
FRAME = 6_500
LINKS_MAX = 3
HEADLINE_MAX = 400
#: One name in the first line.
NAME_MAX = 60
VALUE_MAX = 120
SUMMARY_MAX = 900

_COLOURS: dict[Tone, str] = {"critical": "Attention", "warning": "Warning", "info": "Accent", "good": "Good"}
_HARMLESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,59}", re.ASCII)
#: How the workflow engine says that the flow is switched off; its code for that is 400.
_OFF = "WorkflowTriggerIsNotEnabled"
#: The retired connectors told failures so, at 200.
_FAILED = "Webhook message delivery failed"
_encode = msgspec.json.Encoder().encode


def _of_a_workflow(url: SecretStr, info: ValidationInfo) -> SecretStr:
    parts = urlsplit(url.get_secret_value()) if read(info) else urlsplit("")
    host = parts.hostname or ""
    if host.endswith(".webhook.office.com") or (host == "outlook.office.com" and parts.path.startswith("/webhook")):
        raise ValueError(
            "Office 365 connectors are retired: in Teams create a workflow 'Post to a channel when a webhook request "
            "is received' and use its URL"
        )
    return url


class Teams(ChannelSettings):
    """`staff: {type: teams, url: {env: TEAMS_URL}}`"""

    RATE: ClassVar[RateLimit | None] = RateLimit(requests=1, per=timedelta(seconds=1))

    type: Literal["teams"]
    url: Annotated[SecretUrl, AfterValidator(_of_a_workflow)]

    def connect(self, http: Http) -> Channel:
        return Poster(self, http, self.url, render, classify)


def classify(reply: Reply) -> str:
    """The answer of a flow that has started, or the DeliveryError for what was said instead."""
    if reply.status == 202 or (reply.status == 200 and _FAILED not in reply.text):
        return reply.why
    if reply.status == 400 and _OFF in reply.text:
        raise DeliveryRejected(reply.why, "channel")
    raise failure(reply)


def render(message: Message, *, redact: bool = False) -> dict[str, Any]:
    """The message with its one card."""
    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        # Shown, perhaps as Markdown, by what cannot show the card.
        "fallbackText": words.headline(message, Pen(_plainest)),
        "body": list(_body(message, Pen(_name, redact))),
    }
    if links := _links(message):
        content["actions"] = links
    card = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": content}
    return {"type": "message", "attachments": [card]}


def _body(message: Message, pen: Pen) -> Iterator[Element]:
    """Every alert with its fields if there are few, else a line each, as many as fit; the rest is counted."""
    first = cut(words.preview(message, pen), HEADLINE_MAX)
    yield _block(_run(first, weight="Bolder", size="Medium", color=_COLOURS[words.tone(message)]))
    layout = words.lay_out(
        message,
        lambda one: list(_card(one, pen)),
        lambda entry: _line(entry, pen),
        TOTAL_MAX - FRAME,
        card_size=size,
        size=lambda line: size(_block(_run(line))),
    )
    for card in layout.cards:
        yield from card
    for line in (*layout.lines, *layout.more):
        yield _block(_run(line))
    yield {**_block(_run(" ".join(words.footer(message)), isSubtle=True, size="Small")), "separator": True}


def _card(one: Numbered, pen: Pen) -> Iterator[Element]:
    yield {**_block(_run(cut(words.summary(one.entry, pen), SUMMARY_MAX))), "separator": True}
    for name, value in words.fields(one.entry, pen):
        pair = _block(_run(f"{name}: ", weight="Bolder"), _run(cut(value, VALUE_MAX)))
        yield {**pair, "spacing": "None"}


def _line(entry: Entry, pen: Pen) -> str:
    row = words.row(entry, pen)
    parts = (cut(part, VALUE_MAX) for part in (row.rule, row.where, row.value) if part)
    return " · ".join([f"{row.status} {row.severity}", *parts])


def _links(message: Message) -> list[Element]:
    links = dict.fromkeys(filter(None, (words.runbook(one.entry) for one in message.alerts)))
    return [
        {"type": "Action.OpenUrl", "title": f"Runbook {place}" if place > 1 else "Runbook", "url": link}
        for place, link in enumerate(list(links)[:LINKS_MAX], 1)
    ]


def size(part: object) -> int:
    """Bytes of it within a body as a flow may write it."""
    return len(json.dumps(part))


def _name(raw: str) -> str:
    return cut(clean(raw), NAME_MAX) or "-"


def _plainest(raw: str) -> str:
    """A name in which nothing could format or link, else a sign that there is one."""
    return raw if _HARMLESS.fullmatch(raw) else "…"


def _block(*runs: Element) -> Element:
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _run(text: str, **style: object) -> Element:
    return {"type": "TextRun", "text": text or "-", **style}
