"""Reads what somebody wrote as an `expression`: Python's parser, given nothing but the words on our list.

Every word is looked at first, so what reaches the parser holds no name, number or sign that is not known. It never
sees a number either: those are exact decimals of their own text, and stand in a table by position.
"""

import ast
import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from monitor.fields import amount, suggestion
from monitor.model.snapshot import MEASURES

#: Longest expression, and how deep it may nest: beyond that nobody could say what it means.
SOURCE_MAX = 1000
DEPTH_MAX = 50
FUNCTIONS = ("min", "max", "abs")
_JOINERS = ("and", "or", "not")
_KNOWN = (*MEASURES, *FUNCTIONS, *_JOINERS)
ALLOWED = (
    f"allowed are numbers, {', '.join(MEASURES)}, previous.<measure>, "
    "+ - * / ( ), < <= > >= == !=, and or not, min max abs"
)
_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+)"
    r"|(?P<number>\d[\d_]*(?:\.[\d_]*\d)?)(?![\w.])"
    r"|previous\.(?P<before>[A-Za-z_]\w*)"
    r"|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<odd>\*\*|//|<<|>>|<>|=<|=>|&&|\|\|)"
    r"|(?:<=|>=|==|!=|[-+*/<>(),])",
    re.ASCII,
)
_ODD = re.compile(r"\.?\d[\w.]*|.", re.ASCII | re.DOTALL)
_INSTEAD = {
    "=": "==", "=<": "<=", "=>": ">=", "<>": "!=", "&": "and", "&&": "and", "|": "or", "||": "or", "!": "not",
    "%": "0.25 for 25%",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """An expression that parses. Positions in it count from 1; `numbers` stands by their nodes' column."""

    tree: ast.expr
    numbers: Mapping[int, Decimal]
    skipped: int

    def error(self, node: ast.AST, what: str) -> ValueError:
        """Something wrong with a part of it."""
        return _error(getattr(node, "col_offset", 0) + self.skipped, what)


def read(source: str) -> Source:
    """The parsed expression; ValueError names the position and what is wrong there."""
    if len(source) > SOURCE_MAX:
        raise ValueError(f"longer than {SOURCE_MAX} characters")
    plain, numbers = _words(source)
    skipped = len(plain) - len(plain.lstrip())
    if skipped == len(plain):
        raise ValueError("there is nothing in it")
    try:
        tree = ast.parse(plain[skipped:], mode="eval").body
    except SyntaxError as error:
        raise _unreadable(plain, skipped, error) from None
    except (RecursionError, MemoryError, ValueError):
        raise ValueError("nested too deeply") from None
    return Source(tree, {at - skipped: number for at, number in numbers.items()}, skipped)


def _words(source: str) -> tuple[str, Mapping[int, Decimal]]:
    """The same text, as long, with every number replaced by ones and every line joined; and the numbers."""
    plain: list[str] = []
    numbers: dict[int, Decimal] = {}
    at = 0
    while at < len(source):
        token = _TOKEN.match(source, at)
        if token is None:
            raise _error(at, _odd(_ODD.findall(source[at:])[0]))
        word = token[0]
        match token.lastgroup:
            case "space":
                word = " " * len(word)
            case "number":
                numbers[at] = _number(word, at)
                word = "1" * len(word)
            case "odd":
                raise _error(at, _odd(word))
            case "before" if token["before"] not in MEASURES:
                near = suggestion(token["before"], MEASURES)
                raise _error(at, f"there is no measure {token['before'][:60]!r} ({', '.join(MEASURES)}){near}")
            case "name" if word not in _KNOWN:
                raise _error(at, _unknown(word))
        plain.append(word)
        at = token.end()
    return "".join(plain), numbers


def _number(word: str, at: int) -> Decimal:
    try:
        return amount(word)
    except ValueError as error:
        raise _error(at, str(error)) from None


def _unknown(word: str) -> str:
    if word == "previous":
        return "write previous.available, or another measure after the dot"
    if word.lower() in _JOINERS:
        return f"write {word.lower()} instead of {word}"
    if keyword.iskeyword(word):
        return f"{word!r} is not part of an expression: {ALLOWED}"
    return f"unknown name {word[:60]!r}{suggestion(word, _KNOWN) or '; ' + ALLOWED}"


def _odd(word: str) -> str:
    if word.lstrip(".")[:1].isdigit():
        return f"{word[:60]!r} is not a number, write it like 250_000 or 0.01"
    if word in _INSTEAD:
        return f"{word!r} is not part of an expression, write {_INSTEAD[word]}"
    return f"{word!r} is not part of an expression: {ALLOWED}"


def _unreadable(plain: str, skipped: int, error: SyntaxError) -> ValueError:
    """The parser's finding in our words. It counts from 1, and is beyond the text when the end came too early."""
    place, end = skipped + (error.offset or 0) - 1, len(plain.rstrip())
    if not skipped <= place < end:
        return _error(end, "something is missing at the end")
    if "never closed" in error.msg:
        return _error(place, "this bracket is never closed")
    if "too many nested" in error.msg:
        return _error(place, "nested too deeply")
    if "unmatched" in error.msg:
        return _error(place, "this bracket closes nothing")
    return _error(place, f"this cannot stand here: {ALLOWED}")


def _error(at: int, what: str) -> ValueError:
    return ValueError(f"position {at + 1}: {what}")
