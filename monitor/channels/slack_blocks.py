"""How a message looks in Slack. Pure; limits are counted in UTF-16 units, the larger count, to be safe.

Slack has no escape for `* _ ~` and backticks, so whatever comes from outside stands in plain text or in a
code span with its backticks replaced, and `& < >` are always escaped: no label can mention, link or format.
Facts: docs.slack.dev/reference/block-kit/blocks and docs.slack.dev/messaging/formatting-message-text.
"""

import re
from collections.abc import Iterator
from typing import Any

from monitor.channels import words
from monitor.channels.text import clean, cut, fit, packed, utf16
from monitor.channels.words import Pen
from monitor.model.group import Message, Numbered
from monitor.model.record import Entry

Block = dict[str, Any]

#: Documented: header 150, section 3000.
HEADER_MAX = 150
SECTION_MAX = 3000
FIELDS_MAX = 10
#: Undocumented: above about 13 200 characters in all blocks Slack says msg_blocks_too_long (bolt-js#2509).
TOTAL_MAX = 10_000
#: The notification preview. Its four names fit even if every character is escaped, so no span is ever cut.
PREVIEW_MAX = 1500
#: One name in it.
NAME_MAX = 60
#: One value from outside within a line.
VALUE_MAX = 120
SUMMARY_MAX = 900
#: A link as it is written.
LINK_MAX = 2000
#: Of TOTAL_MAX, kept for the header and the footer.
FRAME = HEADER_MAX + 1000

assert SECTION_MAX - len("<|Runbook>") > LINK_MAX
assert 4 * NAME_MAX * len("&amp;") < PREVIEW_MAX

_HARMLESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9@_-]*", re.ASCII)
_COLOURS = {"critical": "#d00000", "warning": "#e8a33d", "info": "#439fe0", "good": "#2eb67d"}


def render(message: Message, *, redact: bool = False) -> dict[str, Any]:
    """The payload of an incoming webhook: preview text, and one coloured attachment of blocks."""
    pen = Pen(bare, redact)
    preview = fit(words.preview(message, pen), PREVIEW_MAX, escape)
    blocks = [_header(message), *_body(message, pen), _footer(message)]
    return {
        "text": preview,
        "attachments": [{"color": _COLOURS[words.tone(message)], "fallback": preview, "blocks": blocks}],
        "unfurl_links": False,
        "unfurl_media": False,
    }


def escape(raw: str) -> str:
    """What Slack's mrkdwn takes literally, but for formatting signs."""
    return raw.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def code(raw: str, limit: int = VALUE_MAX) -> str:
    """A value from outside as a code span: the only place in mrkdwn where nothing formats."""
    return f"`{fit(clean(raw).replace('`', 'ˋ') or '-', limit, escape)}`"


def bare(raw: str) -> str:
    """A name for the preview, unescaped: as it is when nothing in it can format or link, else a code span."""
    raw = cut(clean(raw), NAME_MAX)
    return raw if _HARMLESS.fullmatch(raw) else f"`{raw.replace('`', 'ˋ') or '-'}`"


def _header(message: Message) -> Block:
    return {"type": "header", "text": _plain(words.title(message, Pen(clean)), HEADER_MAX)}


def _body(message: Message, pen: Pen) -> list[Block]:
    """Every alert with its fields if there are few, else a line each, as many as fit; the rest is counted."""
    layout = words.lay_out(
        message,
        lambda one: list(_card(one, pen)),
        lambda entry: _line(entry, pen),
        TOTAL_MAX - FRAME,
        card_size=lambda blocks: sum(map(_size, blocks)),
    )
    shown = [block for card in layout.cards for block in card]
    return [*shown, *map(_section, (*packed(layout.lines, SECTION_MAX), *layout.more))]


def _card(one: Numbered, pen: Pen) -> Iterator[Block]:
    entry = one.entry
    yield {"type": "section", "text": _plain(words.summary(entry, pen), SUMMARY_MAX)}
    fields = [f"*{name}*\n{code(value)}" for name, value in words.fields(entry, pen)]
    yield {"type": "section", "fields": [_mrkdwn(field) for field in fields[:FIELDS_MAX]]}
    # Escaped it may be five times as long, and a link that is cut leads nowhere.
    if (link := escape(words.runbook(entry))) and len(link) <= LINK_MAX:
        yield _section(f"<{link}|Runbook>")


def _line(entry: Entry, pen: Pen) -> str:
    row = words.row(entry, pen)
    value = [code(row.value)] if row.value else []
    return " ".join([f"*{row.status}*", row.severity, code(row.rule), code(row.where), *value])


def _footer(message: Message) -> Block:
    return {"type": "context", "elements": [_mrkdwn(" ".join(map(code, words.footer(message))))]}


def _plain(raw: str, limit: int) -> Block:
    return {"type": "plain_text", "text": fit(clean(raw) or "-", limit, escape), "emoji": False}


def _mrkdwn(ready: str) -> Block:
    return {"type": "mrkdwn", "text": ready}


def _section(ready: str) -> Block:
    return {"type": "section", "text": _mrkdwn(ready)}


def _size(block: Block) -> int:
    return sum(utf16(part["text"]) for part in [block.get("text"), *block.get("fields", [])] if part)
