"""`ntfy`: a topic at ntfy.sh, or at a server of your own.

Facts: docs.ntfy.sh/publish (publish as JSON, limitations), and what its error codes mean in
github.com/binwiederhier/ntfy, server/errors.go. Its headers (`Title:`) are never used: labels would stand in them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

import msgspec
from pydantic import AfterValidator, Field, SecretStr, ValidationInfo

from monitor.channels import words
from monitor.channels.answers import failure, understood
from monitor.channels.base import ChannelSettings, ServerUrl, Token, read
from monitor.channels.http import ECHO_MAX, WAIT_MAX, Http, Reply, sendable
from monitor.channels.text import clean, cut
from monitor.channels.words import Pen, Tone
from monitor.engine.ports import Channel
from monitor.errors import DeliveryDeferred, DeliveryRejected
from monitor.fields import RateLimit, Secret, TextOrSecret
from monitor.model.group import Message, Numbered, Receipt
from monitor.model.record import Entry

#: Of 4096 bytes; a longer message becomes an attachment, which servers may forbid.
MESSAGE_MAX = 3900
TITLE_MAX = 250
#: What the whole document may be long: twice a message (server/server.go, transformBodyJSON).
DOCUMENT_MAX = 2 * 4096
NAME_MAX = 60
VALUE_MAX = 120
SUMMARY_MAX = 900
FOOTER_MAX = 200
_MORE_MAX = len("… and 1000000 more") + 8

# Both are counted as they are written in JSON; the rest is the topic, a link and names of ours.
assert MESSAGE_MAX + TITLE_MAX + words.LINK_MAX + 500 < DOCUMENT_MAX

#: The daily quota of messages, or of bytes: both begin anew at midnight UTC.
DAILY_CODES = frozenset({42905, 42908})
#: The topic cannot be, or is taken by the server itself.
TOPIC_CODES = frozenset({40009, 40010})
#: Too many requests: a visitor gets one more every five seconds.
REQUESTS_CODE = 42901
REFILL = timedelta(seconds=5)
#: Of their clock against ours.
LEEWAY = timedelta(seconds=10)

_TOPIC = re.compile(r"[-_A-Za-z0-9]{1,64}", re.ASCII)
_PRIORITIES: dict[Tone, int] = {"critical": 5, "warning": 4, "info": 3, "good": 3}
_TAGS: dict[Tone, str] = {
    "critical": "rotating_light",
    "warning": "warning",
    "info": "information_source",
    "good": "white_check_mark",
}
_encode = msgspec.json.Encoder().encode


def _root(url: str | SecretStr, info: ValidationInfo) -> str | SecretStr:
    if isinstance(url, str) or read(info):
        parts = urlsplit(sendable(_plain(url)))
        if parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ValueError("this is the url of a server, like https://ntfy.sh; what stands behind it is the `topic`")
        if "@" in parts.netloc:
            raise ValueError("a user in the url would be shown in the clear, use an access `token`")
    return url


def _plain(url: str | SecretStr) -> str:
    return url if isinstance(url, str) else url.get_secret_value()


def _named(topic: SecretStr, info: ValidationInfo) -> SecretStr:
    if read(info) and not _TOPIC.fullmatch(topic.get_secret_value()):
        raise ValueError("a topic is at most 64 letters, digits, - and _")
    return topic


class Ntfy(ChannelSettings):
    """`phones: {type: ntfy, url: https://ntfy.sh, topic: {env: NTFY_TOPIC}}`"""

    # 60 at once, then one in five seconds: never more than the bucket holds, whenever the window begins.
    RATE: ClassVar[RateLimit | None] = RateLimit(requests=60, per=timedelta(minutes=5))

    type: Literal["ntfy"]
    url: Annotated[TextOrSecret, AfterValidator(_root)] = Field(description="of the server: https://ntfy.sh")
    topic: Annotated[Secret, AfterValidator(_named)] = Field(
        description="whoever knows it can read along: keep it long"
    )
    token: Token | None = Field(default=None, description="an access token (tk_…) of a protected topic")
    base_url: ServerUrl | None = Field(default=None, description="sent there instead: a proxy, or a test")

    def connect(self, http: Http) -> Channel:
        return NtfyChannel(self, http)


@dataclass(frozen=True, slots=True)
class NtfyChannel:
    """Every piece of news is a notification of its own: servers before 2.16 cannot update one."""

    spec: Ntfy
    http: Http

    async def send(self, message: Message, now: datetime) -> Receipt:
        """Publish to the root of the server, the only place that reads JSON."""
        spec = self.spec
        url = SecretStr(f"{(spec.base_url or _plain(spec.url)).rstrip('/')}/")
        token = {} if spec.token is None else {"Authorization": f"Bearer {spec.token.get_secret_value()}"}
        body = _encode({"topic": spec.topic.get_secret_value(), **render(message, redact=bool(spec.redact))})
        headers = {"Content-Type": "application/json", **token}
        reply = await self.http.post(url, body, headers, now, spec.timeout, most=ECHO_MAX, secrets=spec.secrets())
        return Receipt(classify(reply, now))


class _Said(msgspec.Struct):
    """How a server answers: the message, or an error."""

    id: str = ""
    code: int = 0


def classify(reply: Reply, now: datetime) -> str:
    """`ok` and the message's id, or the DeliveryError for what the server said."""
    said = understood(reply.text, _Said) or _Said()
    if reply.status == 200 and said.id:
        return f"ok {clean(said.id)[:40]}"
    if said.code in DAILY_CODES:
        raise DeliveryDeferred(reply.why, _until_midnight(now))
    if said.code == REQUESTS_CODE:
        raise DeliveryDeferred(reply.why, reply.wait or REFILL)
    if said.code in TOPIC_CODES:
        raise DeliveryRejected(reply.why, "channel")
    raise failure(reply)


def _until_midnight(now: datetime) -> timedelta:
    """Until quotas begin anew, in UTC; at most the longest wait, since a server may have set another hour."""
    at = now.astimezone(UTC)
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return min(midnight - at + LEEWAY, WAIT_MAX)


def render(message: Message, *, redact: bool = False) -> dict[str, Any]:
    """The document but for its topic. Plain text, counted in the bytes of its JSON, which are never fewer."""
    pen = Pen(_name, redact)
    tone = words.tone(message)
    episodes = words.subjects(message)
    link = words.runbook(episodes[0]) if len(episodes) == 1 else ""
    return {
        "title": cut(words.preview(message, pen), TITLE_MAX, written),
        "message": _text(message, pen),
        "priority": _PRIORITIES[tone],
        "tags": [_TAGS[tone]],
        **({"click": link} if link else {}),
    }


def written(text: str) -> int:
    """How many bytes a text takes in JSON, without its quotes."""
    return len(_encode(text)) - 2


def _name(raw: str) -> str:
    return cut(clean(raw) or "-", NAME_MAX, written)


def _text(message: Message, pen: Pen) -> str:
    last = cut(" ".join(words.footer(message)), FOOTER_MAX, written)
    layout = words.lay_out(
        message,
        lambda one: "\n".join(_card(one, pen)),
        lambda entry: _line(entry, pen),
        MESSAGE_MAX - written(last) - _MORE_MAX,
        # Two line ends behind a card, of two bytes each; one is counted behind a line already.
        card_size=lambda card: written(card) + 4,
        size=lambda line: written(line) + 1,
    )
    lines = ["\n".join(layout.lines)] if layout.lines else []
    return "\n\n".join([*layout.cards, *lines, *layout.more, last])


def _card(one: Numbered, pen: Pen) -> Iterator[str]:
    yield cut(words.summary(one.entry, pen), SUMMARY_MAX, written)
    for name, value in words.fields(one.entry, pen):
        yield f"{name}: {cut(value, VALUE_MAX, written)}"


def _line(entry: Entry, pen: Pen) -> str:
    row = words.row(entry, pen)
    names = [_name(part) for part in (row.rule, row.where) if part]
    return " ".join([row.status, row.severity, *names, *([cut(row.value, VALUE_MAX, written)] if row.value else [])])
