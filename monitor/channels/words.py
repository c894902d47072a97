"""What a message says, in the words and the order that all chats share. Pure; how it is written is the chat's.

Two kinds of text leave this page. Lines (`headline`, `preview`, `fact`, `title`) are sentences of ours with names from
outside in them, each written by a `Pen`: a chat gives it whatever makes a stranger's text harmless there. Values
(`summary`, `fields`, `row`) come from outside as a whole: cleaned of what is hidden, and to be escaped by the chat.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Generic, Literal, NamedTuple, TypeVar
from urllib.parse import quote

from monitor.channels.text import MASK, clean, utf16, without_numbers
from monitor.fields import duration_text
from monitor.model.alert import SEVERITIES
from monitor.model.group import Message, Numbered
from monitor.model.money import text
from monitor.model.record import Entry

T = TypeVar("T")

#: How bad a message is as a whole; `good` is what is over, or a test.
Tone = Literal["good", "info", "warning", "critical"]

#: More alerts than this are one line each.
FULL_MAX = 5
#: A rule's words up to this length leave room for a caveat in every chat, however they are escaped.
SAID_MAX = 150
#: The longest link to a runbook that is shown.
LINK_MAX = 1000

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


class Pen(NamedTuple):
    """How a chat writes. `name` makes a text from outside part of a line; `redact` masks amounts."""

    name: Callable[[str], str]
    redact: bool = False


class Row(NamedTuple):
    """One alert in a list: all values raw. `value` is empty when there is none."""

    status: str
    severity: str
    rule: str
    where: str
    value: str


@dataclass(frozen=True, slots=True)
class Layout(Generic[T]):
    """What of a message is shown: a card for each alert, or a line for each, and how many are not shown."""

    cards: tuple[T, ...]
    lines: tuple[str, ...]
    missing: int

    @property
    def more(self) -> tuple[str, ...]:
        """The line that counts what is not shown, if anything is not."""
        return (f"… and {self.missing} more",) if self.missing else ()


def headline(message: Message, pen: Pen) -> str:
    """`[FIRING critical] HotWalletLow` and the like; a drill says so first, since nobody reads on at night."""
    if not message.alerts:
        return f"[TEST] balance-monitor can reach the channel {pen.name(message.channel)}"
    word = _mark(message) + _WORDS[message.type]
    if message.type in ("alert.firing", "alert.updated", "alert.reminder"):
        word += f" {worst(message).severity}"
    again = ": fired again" if _again(message) else ": fired and resolved" if _both(message) else ""
    return f"[{word}] {_rules(message, pen)}{again}"


def preview(message: Message, pen: Pen) -> str:
    """The message in one line: what a lock screen shows."""
    if not message.alerts:
        return headline(message, pen)
    episodes = subjects(message)
    count = len(episodes) + message.truncated
    if count > 1:
        first = _named(where(_first(episodes)), pen, ", the first ")
        return f"{headline(message, pen)}: {count} alerts{first}"
    entry = message.alerts[-1].entry
    again = f" ({len({one.entry.id for one in message.alerts})} episodes)" if _again(message) else ""
    said = fact(entry, pen)
    return f"{headline(message, pen)}{again}{_named(where(entry), pen, ' ')}{f': {said}' if said else ''}"


def title(message: Message, pen: Pen) -> str:
    """`HotWalletLow: hot-usdt`, or how many alerts there are."""
    episodes = subjects(message)
    if not episodes:
        return "It works"
    count = len(episodes) + message.truncated
    about = f": {count} alerts" if count > 1 else _named(where(episodes[0]), pen, ": ")
    return f"{_mark(message)}{_rules(message, pen)}{about}"


def fact(entry: Entry, pen: Pen) -> str:
    """What is the matter, in a few words: `412.50 USDT, below 80000`. May be empty."""
    if entry.status == "resolved" and entry.reason not in (None, "recovered"):
        # The value may be as bad as ever.
        return clean(entry.reason.replace("_", " "))
    if entry.rule_type in _SILENCES:
        return "" if entry.status == "resolved" or entry.value is None else f"for {_span(entry.value)}"
    value = _money(entry.value, entry.unit, pen)
    caveat = entry.annotations.get("caveat", "")
    if not value:
        return _quoted(caveat or entry.annotations.get("summary") or entry.status, pen)
    value = f"moved by {value}" if entry.rule_type in _MOVES else value
    if entry.threshold is not None and entry.status != "resolved":
        value = f"{value}, {_side(entry)} {_money(entry.threshold, None, pen)}"
    # Of what flaps, was silenced or could not be read, the value alone would be half the truth, its caveat alone too.
    return f"{value} · {_quoted(caveat, pen)}" if caveat else value


def _side(entry: Entry) -> str:
    """Where the value is. What is held may fire while its value is good, which its caveat explains."""
    below = entry.rule_type in _BELOW
    good = False
    if "caveat" in entry.annotations and entry.value is not None and entry.threshold is not None:
        good = entry.value >= entry.threshold if below else entry.value <= entry.threshold
    return "limit" if good or entry.rule_type in _EITHER else "below" if below else "above"


def _quoted(words: str, pen: Pen) -> str:
    return pen.name(without_numbers(words) if pen.redact else words)


def summary(entry: Entry, pen: Pen) -> str:
    """The rule's own words, and what is to be known about them; never empty. A value: not escaped.

    Chats cut it at its end, so what is to be known stands before words of such a length that it could be lost.
    """
    said = entry.annotations.get("summary") or fact(entry, Pen(clean, pen.redact)) or entry.status
    caveat = entry.annotations.get("caveat", "")
    if caveat not in said:
        said = f"{said} · {caveat}" if utf16(said) <= SAID_MAX else f"{caveat} · {said}"
    return clean(without_numbers(said) if pen.redact else said) or entry.status


def fields(entry: Entry, pen: Pen) -> Iterator[tuple[str, str]]:
    """(name, value) of what is known of one alert, most important first; nothing empty. Values: not escaped."""
    for name, value in _fields(entry, Pen(clean, pen.redact)):
        if shown := clean(value):
            yield name, shown


def row(entry: Entry, pen: Pen) -> Row:
    """One alert in a list of many."""
    value = _money(entry.value, entry.unit, Pen(clean, pen.redact)) if entry.rule_type not in _SILENCES else ""
    return Row(entry.status, entry.severity, clean(entry.rule), clean(where(entry)), value)


def footer(message: Message) -> list[str]:
    """The ids by which this can be found again: the notification's, and the first few alerts'."""
    return [message.id, *list(dict.fromkeys(one.entry.id for one in message.alerts))[:3]]


def runbook(entry: Entry) -> str:
    """A link to click on, percent-encoded so that nothing breaks out of it; empty for anything but plain http(s)."""
    url = entry.annotations.get("runbook_url", "")
    if not url.startswith(("https://", "http://")) or clean(url) != url:
        return ""
    target = quote(url, safe=":/?#[]@!$&'()+,;=%~")
    return target if len(target) <= LINK_MAX else ""


def where(entry: Entry) -> str:
    """Whom an alert is about: its account, the provider as a whole, or the labels of a sum or a channel. Or empty."""
    labels = ", ".join(f"{name}={value}" for name, value in sorted(entry.labels.items()))
    return entry.account or entry.provider or labels


def drilled(entry: Entry) -> bool:
    """Whether this is of a drill: a breach that never was."""
    return entry.labels.get("drill") == "true"


def _mark(message: Message) -> str:
    return "DRILL " if any(drilled(one.entry) for one in message.alerts) else ""


def _named(raw: str, pen: Pen, before: str) -> str:
    return f"{before}{pen.name(raw)}" if raw else ""


def subjects(message: Message) -> list[Entry]:
    """The last entry of each alert; every event is one of its own."""
    found: dict[str, Entry] = {}
    for one in message.alerts:
        key = one.entry.id if one.entry.status == "event" else one.entry.fingerprint
        found[key] = one.entry
    return list(found.values())


def worst(message: Message) -> Entry:
    """The entry that is worst, of those that are not over if there are any."""
    entries = [one.entry for one in message.alerts]
    live = [entry for entry in entries if entry.status != "resolved"]
    return max(live or entries, key=lambda entry: SEVERITIES.index(entry.severity))


def tone(message: Message) -> Tone:
    """How bad the message is as a whole."""
    if not message.alerts or message.type == "alert.resolved":
        return "good"
    return worst(message).severity


def lay_out(
    message: Message,
    card: Callable[[Numbered], T],
    line: Callable[[Entry], str],
    room: int,
    *,
    card_size: Callable[[T], int],
    size: Callable[[str], int] = utf16,
) -> Layout[T]:
    """Every alert as a card if there are few and they fit into `room`, else a line each, as many as fit.

    A line costs its size and one for its end. What is left out is counted, with what the message itself leaves out.
    """
    if len(message.alerts) <= FULL_MAX:
        cards = tuple(card(one) for one in message.alerts)
        if sum(map(card_size, cards)) <= room:
            return Layout(cards, (), message.truncated)
    lines = tuple(_fitting((line(one.entry) for one in message.alerts), room, size))
    return Layout((), lines, len(message.alerts) - len(lines) + message.truncated)


def _fitting(lines: Iterable[str], room: int, size: Callable[[str], int]) -> Iterator[str]:
    for line in lines:
        room -= size(line) + 1
        if room < 0:
            return
        yield line


def _fields(entry: Entry, pen: Pen) -> Iterator[tuple[str, str]]:
    yield "Status", f"{entry.status}{f', {entry.reason}' if entry.reason else ''}"
    yield "Severity", entry.severity
    yield "Account", entry.account
    yield "Provider", entry.provider
    for name, value in (("Value", entry.value), ("Threshold", entry.threshold)):
        if entry.rule_type in _SILENCES:
            yield name, "" if value is None else _span(value)
        else:
            yield name, _money(value, entry.unit, pen)
    yield ("Measure", f"{entry.measure} {entry.asset or ''}") if entry.measure else ("Asset", entry.asset or "")
    if entry.event is not None:
        yield "Event", f"{entry.event.kind}{' (found late)' if entry.event.late else ''}"
        yield "Reference", entry.event.reference or ""
    yield "Rule", entry.rule


def _rules(message: Message, pen: Pen) -> str:
    names = {one.entry.rule for one in message.alerts}
    return pen.name(message.alerts[-1].entry.rule) if len(names) == 1 else f"{len(names)} rules"


def _money(value: Decimal | None, unit: str | None, pen: Pen) -> str:
    if value is None:
        return ""
    amount = MASK if pen.redact else text(value)
    return f"{amount} {pen.name(unit)}" if unit else amount


def _span(seconds: Decimal) -> str:
    return duration_text(timedelta(seconds=int(min(seconds, _CENTURY))))


def _first(episodes: Sequence[Entry]) -> Entry:
    """What ended because its rule was edited stands before what the rule tells instead."""
    return next((entry for entry in episodes if entry.status != "resolved"), episodes[0])


def _again(message: Message) -> bool:
    return message.type == "alert.firing" and len(subjects(message)) < len(message.alerts)


def _both(message: Message) -> bool:
    return message.type == "alert.resolved" and any(one.entry.status == "firing" for one in message.alerts)
