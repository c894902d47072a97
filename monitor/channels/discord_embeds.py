"""How a message looks in Discord. Pure; limits are counted in UTF-16 units, the larger count, to be safe.

What comes from outside stands in a code span with its backticks replaced, or is escaped by backslashes; embeds mention
nobody, and `allowed_mentions` forbids it once more. Facts: discord/discord-api-docs, developers/resources/message.mdx.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from monitor.channels import words
from monitor.channels.text import clean, cut, fit, utf16
from monitor.channels.words import Pen
from monitor.model.group import Message, Numbered
from monitor.model.record import Entry

Embed = dict[str, Any]

#: Documented: content 2000, 10 embeds, title 256, description 4096, 25 fields, value 1024, all embeds together 6000.
EMBEDS_MAX = 10
TITLE_MAX = 256
DESCRIPTION_MAX = 4096
FIELDS_MAX = 25
TOTAL_MAX = 6000
#: All that is said of alerts: one that is as long as it gets, or many lines and the number of those left out.
ROOM = 4000
VALUE_MAX = 120
LINK_MAX = 1000
#: The line above the embeds, which phones show.
PREVIEW_MAX = 1500
#: One name in it.
NAME_MAX = 60
SUMMARY_MAX = 900
FOOTER_MAX = 300

assert words.FULL_MAX < EMBEDS_MAX
assert ROOM + len("… and 1000000 more") < DESCRIPTION_MAX
assert ROOM + TITLE_MAX + FOOTER_MAX < TOTAL_MAX - 500

_HARMLESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*", re.ASCII)
_SIGNS = re.compile(r"([\\`*_~|<>#\[\]()@]|(?<=:)/|^[+-])")
_NUMBERED = re.compile(r"^(\d+)\.", re.ASCII)
_COLOURS = {"critical": 0xD00000, "warning": 0xE8A33D, "info": 0x439FE0, "good": 0x2EB67D}


def render(message: Message, *, redact: bool = False) -> dict[str, Any]:
    """The payload: one line of text, and an embed for each alert, or one for them all."""
    pen = Pen(bare, redact)
    return {
        "content": cut(words.preview(message, pen), PREVIEW_MAX),
        "embeds": _embeds(message, pen),
        "allowed_mentions": {"parse": []},
    }


def escape(raw: str) -> str:
    """Text in which nothing formats, mentions or links; a URL is broken behind its colon."""
    return _NUMBERED.sub(r"\1\\.", _SIGNS.sub(r"\\\1", raw))


def code(raw: str, limit: int = VALUE_MAX) -> str:
    """A value from outside as a code span."""
    return f"`{cut(clean(raw).replace('`', 'ˋ') or '-', limit)}`"


def bare(raw: str) -> str:
    """A name within a line: as it is when nothing in it can format or link, else a code span."""
    raw = cut(clean(raw), NAME_MAX)
    return raw if _HARMLESS.fullmatch(raw) else code(raw)


def _embeds(message: Message, pen: Pen) -> list[Embed]:
    """Every alert with its fields if there are few, else a line each, as many as fit; the rest is counted."""
    layout = words.lay_out(
        message,
        lambda one: _card(one, pen),
        lambda entry: _line(entry, pen),
        ROOM,
        card_size=_size,
    )
    embeds = list(layout.cards)
    rest = "\n".join([*layout.lines, *layout.more])
    if rest or not embeds:
        embeds.append({"description": rest or words.headline(message, pen), "color": _COLOURS[words.tone(message)]})
    embeds[0] = {"title": fit(words.title(message, Pen(clean)), TITLE_MAX, escape), **embeds[0]}
    embeds[-1] = {**embeds[-1], "footer": {"text": cut(" ".join(words.footer(message)), FOOTER_MAX)}}
    return embeds


def _card(one: Numbered, pen: Pen) -> Embed:
    entry = one.entry
    fields = [{"name": name, "value": code(value), "inline": True} for name, value in words.fields(entry, pen)]
    tone = "good" if entry.status == "resolved" else entry.severity
    return {
        "description": "\n".join(_said(entry, pen)),
        "color": _COLOURS[tone],
        "fields": fields[:FIELDS_MAX],
    }


def _said(entry: Entry, pen: Pen) -> Iterator[str]:
    yield fit(words.summary(entry, pen), SUMMARY_MAX, escape)
    times = [f"began {_local(entry.started_at)}"] if entry.started_at else []
    if entry.resolved_at is not None:
        times.append(f"ended {_local(entry.resolved_at)}")
    if times:
        yield ", ".join(times)
    if (link := _inside(words.runbook(entry))) and len(link) <= LINK_MAX:
        yield f"[Runbook](<{link}>)"


def _local(at: datetime) -> str:
    """A time that everybody sees by their own clock."""
    return f"<t:{int(at.timestamp())}:f>"


def _inside(link: str) -> str:
    """The link without what could end it early."""
    for sign in "()[]":
        link = link.replace(sign, f"%{ord(sign):02X}")
    return link


def _line(entry: Entry, pen: Pen) -> str:
    row = words.row(entry, pen)
    value = [code(row.value)] if row.value else []
    return " ".join([f"**{row.status}**", row.severity, code(row.rule), code(row.where), *value])


def _size(embed: Embed) -> int:
    fields = sum(utf16(field["name"]) + utf16(field["value"]) for field in embed["fields"])
    return utf16(embed["description"]) + fields
