"""Reads a query string strictly: a misspelt filter must not answer with everything."""

import base64
import binascii
import difflib
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from monitor.api.problems import Problem, invalid
from monitor.api.request import Request
from monitor.fields import duration, duration_text

#: Most items on one page.
LIMIT_MAX = 1_000
LIMIT_DEFAULT = 100
_CURSOR_MAX = 1_000
_PARTS = msgspec.json.Decoder(tuple[str, ...])

_TEXT: Mapping[str, object] = {"type": "string"}

Query = Mapping[str, str]


class Param(NamedTuple):
    """One parameter, as the requests are held to it and the documents tell it. `schema` is JSON Schema of its text.

    `prefix`: it stands for all whose names begin with its own.
    """

    name: str
    about: str
    schema: Mapping[str, object] = _TEXT
    required: bool = False
    prefix: bool = False


def choice(name: str, about: str, choices: Collection[str], *, required: bool = False) -> Param:
    """A parameter with few values."""
    return Param(name, about, {"type": "string", "enum": list(choices)}, required)


def limit_of(default: int) -> Param:
    """How many items a page has."""
    bounds = {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": default}
    return Param("limit", "how many items at most", bounds)


LIMIT = limit_of(LIMIT_DEFAULT)
CURSOR = Param("cursor", "where to go on: `next_cursor` of the page before")


def read(request: Request, params: Collection[Param] = ()) -> Query:
    """The parameters, each at most once, all of them known, and those there that must be."""
    known = {param.name for param in params if not param.prefix}
    prefixes = tuple(param.name for param in params if param.prefix)
    result: dict[str, str] = {}
    for name, value in request.query.items():
        if name not in known and not (name.startswith(prefixes) and name not in prefixes):
            near = difflib.get_close_matches(name, known, n=1)
            hint = f", did you mean {near[0]!r}?" if near else ""
            raise invalid(f"unknown parameter {name[:64]!r}{hint}")
        if name in result:
            raise invalid(f"{name} is given twice")
        result[name] = value
    for param in params:
        if param.required and not result.get(param.name):
            raise invalid(f"{param.name} is required")
    return result


def limit(query: Query, param: Param = LIMIT) -> int:
    """How many items the caller wants, 1 to LIMIT_MAX."""
    value = query.get(param.name, str(param.schema["default"]))
    if not (value.isascii() and value.isdecimal() and len(value) <= 4 and 1 <= int(value) <= LIMIT_MAX):
        raise invalid(f"limit is a whole number from 1 to {LIMIT_MAX}")
    return int(value)


def one_of(query: Query, param: Param) -> str | None:
    """A parameter with few values; None when it is not given."""
    value, choices = query.get(param.name), param.schema["enum"]
    assert isinstance(choices, list), "made by `choice`"
    if value is not None and value not in choices:
        raise invalid(f"{param.name} is one of {', '.join(choices)}")
    return value


def span(query: Query, name: str, longest: timedelta) -> timedelta | None:
    """A duration like `30s`; None when it is not given."""
    value = query.get(name)
    if value is None:
        return None
    try:
        result = duration(value)
    except ValueError as error:
        raise invalid(f"{name}: {error}") from None
    if result > longest:
        raise invalid(f"{name} is at most {duration_text(longest)}")
    return result


def moment(query: Query, name: str, default: datetime, now: datetime) -> datetime:
    """A time: RFC 3339 with its zone (`2026-11-20T12:00:00Z`), or how long ago (`24h`)."""
    value = query.get(name)
    if value is None:
        return default
    try:
        if value[:1].isdigit() and "-" not in value:
            return now - duration(value)
        # An unquoted "+" of an offset arrives as a blank.
        result = datetime.fromisoformat(value[:11] + value[11:].replace(" ", "+"))
        if result.tzinfo is None:
            raise ValueError("no zone")
        return result.astimezone(UTC)
    except (ValueError, OverflowError):
        raise invalid(f"{name} is a time like 2026-11-20T12:00:00Z, or how long ago like 24h") from None


def encode_cursor(*parts: str) -> str:
    """Where to go on, opaque to the caller."""
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).rstrip(b"=").decode()


def cursor(query: Query, parts: int) -> tuple[str, ...] | None:
    """What `encode_cursor` was given; None when there is no cursor."""
    value = query.get("cursor")
    if value is None:
        return None
    try:
        if len(value) > _CURSOR_MAX:
            raise ValueError("too long")
        found = _PARTS.decode(base64.urlsafe_b64decode(value.encode("ascii") + b"=" * (-len(value) % 4)))
        if len(found) != parts:
            raise ValueError("of another list")
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise bad_cursor() from None
    return found


def bad_cursor() -> Problem:
    """A cursor that this list never gave."""
    return invalid("cursor is not one of this list; start again without it")
