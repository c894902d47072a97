"""Text from outside, made harmless and short: account names, labels and references belong to strangers."""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator

#: C0 and C1 controls, soft hyphen, bidirectional overrides and isolates, zero-width and invisible characters,
#: line and paragraph separators, lone surrogates, noncharacters, tags. Written as ranges of code points.
_HIDDEN = re.compile(
    "["
    "\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\ud800-\udfff\U000e0000-\U000e0fff"
    "]"
)
_SPACES = re.compile("[\\s\u2028\u2029]+")
_NUMBER = re.compile(r"\d+(?:[.,_' \u00a0\u202f]?\d+)*")
_SURROGATE = re.compile("[\ud800-\udfff]")

ELLIPSIS = "…"
MASK = "•••"
_JOINER = "\u200d"


def clean(text: str) -> str:
    """One line of visible text: nothing hidden, nothing that reorders, nothing that cannot be encoded."""
    return _SPACES.sub(" ", _HIDDEN.sub("", text)).strip()


def encodable(text: str) -> str:
    """The text as it is, but for lone surrogates, which no UTF-8 encoder takes."""
    return _SURROGATE.sub("\ufffd", text)


def without_numbers(text: str) -> str:
    """The text with every number masked: in prose nobody can tell an amount from another number."""
    return _NUMBER.sub(MASK, text)


def utf16(text: str) -> int:
    """The length most chats count, never less than the number of characters."""
    return len(text) + sum(character > "\uffff" for character in text)


def cut(text: str, limit: int, size: Callable[[str], int] = utf16) -> str:
    """At most `limit` long as `size` counts, ending in … where something is missing, never inside a character
    that people see as one."""
    if size(text) <= limit:
        return text
    # Every character counts at least one, so the rest cannot fit and need not be looked at.
    most = range(1, min(limit, len(text)))
    kept = text[: bisect_right(most, limit, key=lambda count: size(text[:count] + ELLIPSIS))]
    while kept and _joined(text, len(kept)):
        kept = kept[:-1]
    return kept.rstrip() + ELLIPSIS if limit > 0 else ""


def fit(text: str, limit: int, escape: Callable[[str], str]) -> str:
    """The escaped text, the raw one cut first until the escaped one fits: no escape is ever cut in two."""
    return escape(cut(text, limit, lambda raw: utf16(escape(raw))))


def packed(lines: Iterable[str], most: int, between: str = "\n") -> Iterator[str]:
    """The lines in as few pieces as hold them, each at most so long in UTF-16 units."""
    part = ""
    for line in lines:
        if part and utf16(part) + len(between) + utf16(line) > most:
            yield part
            part = ""
        part = f"{part}{between}{line}" if part else line
    if part:
        yield part


def _joined(text: str, at: int) -> bool:
    """Whether cutting before this index would split what people see as one character."""
    after, before = text[at], text[at - 1]
    return (
        unicodedata.category(after) in ("Mn", "Me", "Mc")
        or _JOINER in {after, before}
        or "\U0001f3fb" <= after <= "\U0001f3ff"
        or (_flag(after) and _flag(before) and _flags_before(text, at) % 2 == 1)
    )


def _flag(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _flags_before(text: str, at: int) -> int:
    count = 0
    while count < at and _flag(text[at - 1 - count]):
        count += 1
    return count
