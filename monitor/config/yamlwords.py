"""What an unquoted word in YAML means here: nothing, true, false, an exact number, or itself.

YAML 1.1 reads `010` as 8, `0x1F` as 31, `1:30` as 90, `no` as false and `250.10` as a double. Here `no`
and `1:30` are words, `250.10` is a Decimal of exactly these digits, and what is ambiguous is refused.
"""

import re
from decimal import Decimal
from typing import Any

from monitor.config.mistakes import clip

#: Longer or larger than any number we know what to do with; model.money is stricter still.
MAX_DIGITS = 100

_WORDS: dict[str, Any] = {"": None, "~": None} | {
    form: value
    for word, value in (("null", None), ("true", True), ("false", False))
    for form in (word, word.title(), word.upper())
}
_INTEGER = re.compile(r"[-+]?[0-9](?:_?[0-9])*", re.ASCII)
_NUMBER = re.compile(r"[-+]?(?:[0-9](?:_?[0-9])*\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_ODD = (
    (re.compile(r"[-+]?0[0-9_]+(?:\.[0-9_]*)?|[-+]?0o[0-7_]+", re.ASCII), "looks octal"),
    (re.compile(r"[-+]?0[xX][0-9a-fA-F_]+", re.ASCII), "looks hexadecimal"),
    (re.compile(r"[-+]?0[bB][01_]+", re.ASCII), "looks binary"),
    (re.compile(r"[-+]?\.inf|\.nan", re.IGNORECASE), "is not a number"),
)


def plain(text: str) -> Any:
    """An unquoted scalar as None, a bool, an int, a Decimal or text; ValueError says how to write it."""
    if text in _WORDS:
        return _WORDS[text]
    for form, what in _ODD:
        if form.fullmatch(text):
            raise ValueError(f"{clip(text)} {what}, {_meant(text)}")
    if not _NUMBER.fullmatch(text):
        return text
    number = Decimal(text.replace("_", "")) if len(text) <= MAX_DIGITS else None
    # 1e999999999 is a small file and a huge number.
    if number is None or (number and abs(number.adjusted()) > MAX_DIGITS):
        raise ValueError(f"{clip(text)} is too large or too long for a number: put it in quotes if it is text")
    return int(number) if _INTEGER.fullmatch(text) else number


def _meant(text: str) -> str:
    digits = text.lstrip("+-0").replace("_", "")
    if digits.replace(".", "", 1).isdecimal():
        return f'write {digits}, or "{clip(text)}" if it is text'
    return f'write "{clip(text)}" if it is text'
