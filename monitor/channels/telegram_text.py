"""How a message looks in Telegram. Pure; lengths are counted as Telegram does: in UTF-16 units, without the markup.

HTML, where only `& < >` mean something. But `@name`, `/command`, `#tag`, `$TAG` and addresses become links by
themselves, except in code: so whatever comes from outside stands there. Facts: core.telegram.org/bots/api#html-style;
how a text is understood is github.com/tdlib/td, td/telegram/MessageEntity.cpp.
"""

import html
import re
from collections.abc import Iterator
from typing import Any

from monitor.channels import words
from monitor.channels.text import clean, cut, utf16
from monitor.channels.words import Pen
from monitor.model.group import Message, Numbered
from monitor.model.record import Entry

#: Documented: 100 entities (a piece of markup each).
ENTITIES_MAX = 100
#: Of 4096 after parsing.
BUDGET = 4000
#: One name in the first line, or in a list.
NAME_MAX = 60
VALUE_MAX = 120
SUMMARY_MAX = 900
FOOTER_MAX = 300
_MORE_MAX = len("\n\n… and 1000000 more\n\n")

#: A card is its summary, a dozen fields and a link; the frame is a bracket, four names and the ids.
assert words.FULL_MAX * 14 + 8 < ENTITIES_MAX

_HARMLESS = re.compile(r"[A-Za-z][A-Za-z0-9-]*", re.ASCII)
_TAG = re.compile(r"<[^<>]*>")


def render(message: Message, *, redact: bool = False) -> dict[str, Any]:
    """The payload of `sendMessage` but for whom it is to. What is only for information makes no sound."""
    pen = Pen(bare, redact)
    silent = bool(message.alerts) and words.worst(message).severity == "info"
    return {
        "text": _text(message, pen),
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
        "disable_notification": silent,
    }


def escape(raw: str) -> str:
    """Text for HTML."""
    return html.escape(raw, quote=False)


def code(raw: str, limit: int = VALUE_MAX) -> str:
    """A value from outside: in code, the only place where nothing becomes a link by itself."""
    return f"<code>{escape(cut(clean(raw) or '-', limit))}</code>"


def bare(raw: str) -> str:
    """A name within a line: as it is when nothing in it can link, else as code."""
    raw = cut(clean(raw), NAME_MAX)
    return raw if _HARMLESS.fullmatch(raw) else code(raw)


def shown(text: str) -> int:
    """How long this HTML is when it is read."""
    return utf16(html.unescape(_TAG.sub("", text)))


def _text(message: Message, pen: Pen) -> str:
    bracket, _, rest = words.preview(message, pen).partition("] ")
    first = f"<b>{bracket}]</b> {rest}"
    last = code(" ".join(words.footer(message)), FOOTER_MAX)
    room = BUDGET - shown(first) - shown(last) - _MORE_MAX
    layout = words.lay_out(
        message,
        lambda one: "\n".join(_card(one, pen)),
        lambda entry: _line(entry, pen),
        room,
        card_size=lambda card: shown(card) + 2,
    )
    # One block of code for all lines, for what stands beyond the hundredth piece of markup has none.
    lines = [f"<pre>{escape(chr(10).join(layout.lines))}</pre>"] if layout.lines else []
    return "\n\n".join([first, *layout.cards, *lines, *layout.more, last])


def _card(one: Numbered, pen: Pen) -> Iterator[str]:
    entry = one.entry
    yield code(words.summary(entry, pen), SUMMARY_MAX)
    yield from (f"{name}: {code(value)}" for name, value in words.fields(entry, pen))
    if link := words.runbook(entry):
        yield f'<a href="{html.escape(link)}">Runbook</a>'


def _line(entry: Entry, pen: Pen) -> str:
    """Not escaped: it goes into a block of many."""
    row = words.row(entry, pen)
    names = [cut(part, NAME_MAX) for part in (row.rule, row.where) if part]
    return " ".join([row.status, row.severity, *names, *([cut(row.value, VALUE_MAX)] if row.value else [])])
