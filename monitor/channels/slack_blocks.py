"""How a message looks in Slack. Pure; limits are counted in UTF-16 units, the larger count, to be safe.

Slack has no escape for `* _ ~` and backticks, so whatever comes from outside stands in plain text or in a
code span with its backticks replaced, and `& < >` are always escaped: no label can mention, link or format.
Facts: docs.slack.dev/reference/block-kit/blocks and docs.slack.dev/messaging/formatting-message-text.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from monitor.channels.text import MASK, clean, cut, fit, utf16, without_numbers
from monitor.fields import duration_text
from monitor.model.group import Message, Numbered
from monitor.model.money import text
from monitor.model.record import Entry

Block = dict[str, Any]

#: Documented: 50 blocks, header 150, section 3000, field 2000.
BLOCKS_MAX = 50
HEADER_MAX = 150
SECTION_MAX = 3000
FIELD_MAX = 2000
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
LINK_MAX = 1000
#: More alerts than this are one line each.
FULL_MAX = 5
#: Of TOTAL_MAX, kept for the header and the footer.
FRAME = HEADER_MAX + 1000

assert 4 * NAME_MAX * len("&amp;") < PREVIEW_MAX

_HARMLESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9@_-]*", re.ASCII)
_COLOURS = {"critical": "#d00000", "warning": "#e8a33d", "info": "#439fe0"}
_GOOD = "#2eb67d"
_BELOW = frozenset({"low_balance", "runway"})
#: Only its own words know which side is bad.
_EITHER = frozenset({"expression"})
#: The value is how far an amount moved, not the amount.
_MOVES = frozenset({"balance_change"})
#: These judge how long nothing was heard, in seconds.
_SILENCES = frozenset({"stale", "provider_down"})
_CENTURY = Decimal(3_155_760_000)
_WORDS = {
    "alert.firing": "FIRING", "alert.updated": "UPDATED", "alert.reminder": "REMINDER",
    "alert.resolved": "RESOLVED", "alert.event": "EVENT", "test": "TEST",
}  # fmt: skip


def render(message: Message, *, redact: bool = False) -> dict[str, Any]:
    """The payload of an incoming webhook: preview text, and one coloured attachment of blocks."""
    preview = fit(_preview(message, redact=redact), PREVIEW_MAX, escape)
    blocks = [_header(message), *_body(message, redact=redact), _footer(message)]
    return {
        "text": preview,
        "attachments": [{"color": _colour(message), "fallback": preview, "blocks": blocks}],
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


def headline(message: Message) -> str:
    """`[FIRING critical] HotWalletLow` and the like, unescaped."""
    if not message.alerts:
        return f"[TEST] balance-monitor can reach the channel {bare(message.channel)}"
    word = _WORDS[message.type]
    if message.type in ("alert.firing", "alert.updated", "alert.reminder"):
        word += f" {_worst(message).severity}"
    again = ": fired again" if _again(message) else ": fired and resolved" if _both(message) else ""
    return f"[{word}] {_rules(message)}{again}"


def _rules(message: Message) -> str:
    names = {one.entry.rule for one in message.alerts}
    return bare(message.alerts[-1].entry.rule) if len(names) == 1 else f"{len(names)} rules"


def _preview(message: Message, *, redact: bool) -> str:
    episodes = _subjects(message)
    if not message.alerts:
        return headline(message)
    count = len(episodes) + message.truncated
    if count > 1:
        return f"{headline(message)}: {count} alerts, the first {_where(_first(episodes))}"
    entry = message.alerts[-1].entry
    again = f" ({len({one.entry.id for one in message.alerts})} episodes)" if _again(message) else ""
    fact = _fact(entry, redact=redact)
    return f"{headline(message)}{again} {_where(entry)}{f': {fact}' if fact else ''}"


def _header(message: Message) -> Block:
    episodes = _subjects(message)
    if not episodes:
        return {"type": "header", "text": _plain("It works", HEADER_MAX)}
    count = len(episodes) + message.truncated
    about = f"{count} alerts" if count > 1 else episodes[0].account or episodes[0].provider
    return {"type": "header", "text": _plain(f"{_rules(message)}: {about}", HEADER_MAX)}


def _body(message: Message, *, redact: bool) -> list[Block]:
    """Every alert with its fields if there are few, else a line each, as many as fit; the rest is counted."""
    if len(message.alerts) <= FULL_MAX:
        full = [block for one in message.alerts for block in _full(one, redact=redact)]
        if sum(map(_size, full)) <= TOTAL_MAX - FRAME:
            return [*full, *_rest(message.truncated)]
    lines: list[str] = []
    room = TOTAL_MAX - FRAME
    for one in message.alerts:
        line = _line(one.entry, redact=redact)
        room -= utf16(line) + 1
        if room < 0:
            break
        lines.append(line)
    missing = len(message.alerts) - len(lines) + message.truncated
    return [*(_section(part) for part in _packed(lines)), *_rest(missing)]


def _full(one: Numbered, *, redact: bool) -> Iterator[Block]:
    entry = one.entry
    summary = entry.annotations.get("summary") or _fact(entry, redact=redact)
    caveat = entry.annotations.get("caveat", "")
    if caveat not in summary:
        summary = f"{summary} · {caveat}"
    if redact:
        summary = without_numbers(summary)
    yield {"type": "section", "text": _plain(summary, SUMMARY_MAX)}
    fields = [f"*{name}*\n{code(value)}" for name, value in _fields(entry, redact=redact) if value]
    yield {"type": "section", "fields": [_mrkdwn(field) for field in fields[:FIELDS_MAX]]}
    runbook = entry.annotations.get("runbook_url", "")
    if link := _link(runbook):
        yield _section(f"<{link}|Runbook>")


def _fields(entry: Entry, *, redact: bool) -> Iterator[tuple[str, str]]:
    yield "Status", f"{entry.status}{f', {entry.reason}' if entry.reason else ''}"
    yield "Severity", entry.severity
    yield "Account", entry.account
    yield "Provider", entry.provider
    for name, value in (("Value", entry.value), ("Threshold", entry.threshold)):
        if entry.rule_type in _SILENCES:
            yield name, "" if value is None else _span(value)
        else:
            yield name, _money(value, entry.unit, redact=redact)
    yield "Measure", f"{entry.measure or ''} {entry.asset or ''}".strip()
    if entry.event is not None:
        yield "Event", f"{entry.event.kind}{' (found late)' if entry.event.late else ''}"
        yield "Reference", entry.event.reference or ""
    yield "Rule", entry.rule


def _line(entry: Entry, *, redact: bool) -> str:
    value = _money(entry.value, entry.unit, redact=redact)
    parts = [f"*{entry.status}*", entry.severity, code(entry.rule), code(entry.account or entry.provider)]
    return " ".join([*parts, *([code(value)] if value else [])])


def _fact(entry: Entry, *, redact: bool) -> str:
    if entry.status == "resolved" and entry.reason not in (None, "recovered"):
        # The value may be as bad as ever.
        return clean(entry.reason.replace("_", " "))
    if entry.rule_type in _SILENCES:
        return "" if entry.status == "resolved" or entry.value is None else f"for {_span(entry.value)}"
    value = _money(entry.value, entry.unit, redact=redact)
    if not value or "caveat" in entry.annotations:
        # Of what flaps, or could not be read, the value alone would be half the truth.
        summary = entry.annotations.get("caveat") or entry.annotations.get("summary") or entry.status
        return bare(without_numbers(summary) if redact else summary)
    value = f"moved by {value}" if entry.rule_type in _MOVES else value
    if entry.threshold is None or entry.status == "resolved":
        return value
    side = "below" if entry.rule_type in _BELOW else "limit" if entry.rule_type in _EITHER else "above"
    return f"{value}, {side} {_money(entry.threshold, None, redact=redact)}"


def _money(value: Decimal | None, unit: str | None, *, redact: bool) -> str:
    if value is None:
        return ""
    amount = MASK if redact else text(value)
    return f"{amount} {bare(unit)}" if unit else amount


def _span(seconds: Decimal) -> str:
    return duration_text(timedelta(seconds=int(min(seconds, _CENTURY))))


def _footer(message: Message) -> Block:
    ids = dict.fromkeys(one.entry.id for one in message.alerts)
    shown = [code(message.id), *(code(name) for name in list(ids)[:3])]
    return {"type": "context", "elements": [_mrkdwn(" ".join(shown))]}


def _rest(missing: int) -> list[Block]:
    return [_section(f"… and {missing} more")] if missing else []


def _packed(lines: Sequence[str]) -> Iterator[str]:
    """The lines in as few sections as hold them."""
    part = ""
    for line in lines:
        if part and utf16(part) + 1 + utf16(line) > SECTION_MAX:
            yield part
            part = ""
        part = f"{part}\n{line}" if part else line
    if part:
        yield part


def _plain(raw: str, limit: int) -> Block:
    return {"type": "plain_text", "text": fit(clean(raw) or "-", limit, escape), "emoji": False}


def _mrkdwn(ready: str) -> Block:
    return {"type": "mrkdwn", "text": ready}


def _section(ready: str) -> Block:
    return {"type": "section", "text": _mrkdwn(ready)}


def _size(block: Block) -> int:
    return sum(utf16(part["text"]) for part in [block.get("text"), *block.get("fields", [])] if part)


def _link(url: str) -> str:
    """A link's target that cannot break out of `<…|…>`; empty for anything but plain http(s)."""
    if not url.startswith(("https://", "http://")) or clean(url) != url:
        return ""
    target = escape(quote(url, safe=":/?#[]@!$&'()+,;=%~"))
    return target if len(target) <= LINK_MAX else ""


def _where(entry: Entry) -> str:
    return bare(entry.account or entry.provider)


def _subjects(message: Message) -> list[Entry]:
    """The last entry of each alert; every event is one of its own."""
    found: dict[str, Entry] = {}
    for one in message.alerts:
        key = one.entry.id if one.entry.status == "event" else one.entry.fingerprint
        found[key] = one.entry
    return list(found.values())


def _first(episodes: Sequence[Entry]) -> Entry:
    """What ended because its rule was edited stands before what the rule tells instead."""
    return next((entry for entry in episodes if entry.status != "resolved"), episodes[0])


def _worst(message: Message) -> Entry:
    entries = [one.entry for one in message.alerts]
    live = [entry for entry in entries if entry.status != "resolved"]
    return min(live or entries, key=lambda entry: list(_COLOURS).index(entry.severity))


def _again(message: Message) -> bool:
    return message.type == "alert.firing" and len(_subjects(message)) < len(message.alerts)


def _both(message: Message) -> bool:
    return message.type == "alert.resolved" and any(one.entry.status == "firing" for one in message.alerts)


def _colour(message: Message) -> str:
    if not message.alerts or message.type == "alert.resolved":
        return _GOOD
    return _COLOURS[_worst(message).severity]
