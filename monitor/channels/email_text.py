"""A message as a mail: the same in plain text and in HTML, byte for byte equal on every attempt. Pure.

Whatever comes from outside is cleaned of line breaks before it gets near a header, and escaped in HTML.
Facts: RFC 5322 (Date, Message-ID, References), RFC 3834 (Auto-Submitted).
"""

import re
from collections.abc import Iterator
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape
from typing import NamedTuple

from monitor.channels import words
from monitor.channels.text import clean, cut
from monitor.channels.words import Pen, Tone
from monitor.model.group import Message, Numbered
from monitor.model.record import Entry

#: One name in a line of ours.
NAME_MAX = 60
VALUE_MAX = 200
SUMMARY_MAX = 2_000
#: Characters of each of the two bodies for alerts: room for the most that a message holds, a line each.
TOTAL_MAX = 200_000

_MESSAGE_ID = re.compile(r"<[\w.]+@[\w.-]+>", re.ASCII)
_COLOURS: dict[Tone, str] = {"critical": "#d00000", "warning": "#b26b00", "info": "#2b6cb0", "good": "#1e7e4f"}


class Party(NamedTuple):
    """Who writes to whom."""

    sender: Address
    recipients: tuple[Address, ...]


def message_id(message: Message, domain: str) -> str:
    """The same on every attempt, so that whoever gets it twice can tell."""
    return f"<{message.id}@{domain}>"


def root(message: Message, domain: str) -> str:
    """The first mail about these alerts, under which all later ones stand; this one if there is none or several."""
    refs = {one.ref for one in message.alerts}
    # Of what was told before the channel became one of mails, there is none.
    known = len(refs) == 1 and _MESSAGE_ID.fullmatch("".join(refs))
    return known[0] if known else message_id(message, domain)


def compose(message: Message, party: Party, *, redact: bool = False) -> bytes:
    """The mail, every line ending in CRLF and none longer than 998 octets."""
    pen = Pen(lambda raw: cut(clean(raw), NAME_MAX) or "-", redact)
    own, first = message_id(message, party.sender.domain), root(message, party.sender.domain)
    mail = EmailMessage(policy=SMTP)
    mail["From"] = party.sender
    mail["To"] = party.recipients
    # What looks like an encoded word would be decoded on the way.
    mail["Subject"] = words.preview(message, pen).replace("=?", "=\u200b?")
    mail["Date"] = format_datetime(message.at)
    mail["Message-ID"] = own
    if first != own:
        mail["In-Reply-To"] = first
        mail["References"] = first
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content("\n".join(_plain(message, pen)) + "\n", cte="quoted-printable")
    mail.add_alternative("\n".join(_html(message, pen)) + "\n", subtype="html", cte="quoted-printable")
    mail.set_boundary(f"=_{message.id}")
    return mail.as_bytes()


def _plain(message: Message, pen: Pen) -> Iterator[str]:
    """Every alert with its fields if there are few, else a line each; the rest is counted."""
    yield words.preview(message, pen)
    layout = words.lay_out(
        message,
        lambda one: list(_plain_card(one, pen)),
        lambda entry: " · ".join(_row(entry, pen)),
        TOTAL_MAX,
        card_size=lambda card: sum(map(len, card)),
    )
    for card in layout.cards:
        yield from card
    if layout.lines:
        yield from ("", *layout.lines)
    for more in layout.more:
        yield from ("", more)
    yield from ("", "-- ", " ".join(words.footer(message)))


def _plain_card(one: Numbered, pen: Pen) -> Iterator[str]:
    yield from ("", cut(words.summary(one.entry, pen), SUMMARY_MAX), "")
    for name, value in words.fields(one.entry, pen):
        yield f"{name}: {cut(value, VALUE_MAX)}"
    if link := words.runbook(one.entry):
        yield f"Runbook: {link}"


def _html(message: Message, pen: Pen) -> Iterator[str]:
    yield "<!DOCTYPE html>"
    yield '<html><head><meta charset="utf-8"></head><body style="font-family:sans-serif">'
    yield f'<h3 style="color:{_COLOURS[words.tone(message)]}">{escape(words.preview(message, pen))}</h3>'
    layout = words.lay_out(
        message,
        lambda one: list(_html_card(one, pen)),
        lambda entry: "".join(f"<td>{escape(part)}</td>" for part in _row(entry, pen)),
        TOTAL_MAX,
        card_size=lambda card: sum(map(len, card)),
    )
    for card in layout.cards:
        yield from card
    if layout.lines:
        yield '<table cellpadding="4">'
        yield from (f"<tr>{line}</tr>" for line in layout.lines)
        yield "</table>"
    for more in layout.more:
        yield f"<p>{more}</p>"
    yield f'<p style="color:#666666">{escape(" ".join(words.footer(message)))}</p>'
    yield "</body></html>"


def _html_card(one: Numbered, pen: Pen) -> Iterator[str]:
    yield f"<p>{escape(cut(words.summary(one.entry, pen), SUMMARY_MAX))}</p>"
    yield '<table cellpadding="4">'
    for name, value in words.fields(one.entry, pen):
        yield f'<tr><th align="left">{name}</th><td>{escape(cut(value, VALUE_MAX))}</td></tr>'
    yield "</table>"
    if link := words.runbook(one.entry):
        yield f'<p><a href="{escape(link)}">Runbook</a></p>'


def _row(entry: Entry, pen: Pen) -> Iterator[str]:
    row = words.row(entry, pen)
    yield f"{row.status} {row.severity}"
    yield from (cut(part, VALUE_MAX) for part in (row.rule, row.where, row.value) if part)
