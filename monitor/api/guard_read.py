"""Reads what the guard is asked, strictly: a mistake of one key may be a bet of another amount."""

import json
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TypeVar, get_args

import msgspec
from msgspec.structs import astuple

from monitor.api import query
from monitor.api.guard_models import ACCOUNT, ASSET, HOLD_ID, SOURCE, CheckRequest, CommitRequest, HoldRequest
from monitor.api.problems import Problem, invalid
from monitor.api.request import Request
from monitor.engine.bet import Wish
from monitor.fields import duration, duration_text, suggestion
from monitor.guard import units
from monitor.guard.errors import AmountImprecise, AmountInvalid
from monitor.guard.policy import OnStale

#: More than any honest bet and its `context` take.
BODY_MAX = 16 * 1024
_NAMES = {
    "account": re.compile(ACCOUNT.replace("$", r"\Z")),
    "asset": re.compile(ASSET.replace("$", r"\Z")),
    "hold_id": re.compile(HOLD_ID.replace("$", r"\Z")),
    "source": re.compile(SOURCE.replace("$", r"\Z")),
}
_ARTICLES = {
    "account": "an account",
    "asset": "an asset",
    "hold_id": "a hold's id: 1 to 128 of A-Z a-z 0-9 . _ ~ @ = + | -, not . or ..",
    "source": "a lock's source: 1 to 64 of A-Z a-z 0-9 . _ ~ @ = + -, not . or ..",
}
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")
_TYPE = re.compile(r"(.*?) - at `\$\.(\w+)[^`]*`", re.DOTALL)
_AMOUNTS = ("amount", "exposure")

Model = TypeVar("Model", bound=msgspec.Struct)


async def body(request: Request, decoder: msgspec.json.Decoder[Model], empty: Model | None = None) -> Model:
    """The request's body; `empty` is what no body at all means."""
    nothing_asked(request)
    said = await request.read()
    if not said and empty is not None:
        return empty
    if len(said) > BODY_MAX:
        raise invalid(f"the body has {BODY_MAX // 1024} kB at most, `context` included")
    try:
        found = decoder.decode(said)
        _nothing_twice(said, found)
    except msgspec.ValidationError as error:
        raise invalid(_mistake(str(error), decoder.type)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise invalid("the body is a JSON object") from None
    return found


def _nothing_twice(said: bytes, found: msgspec.Struct) -> None:
    """Refuse a body with a key twice: who reads the first of them saw another bet than who reads the last.

    `said` is known to be JSON. It is only read again where a key may be there twice, which costs as much once more.
    """
    there = astuple(found)
    # Each key has a colon. As many as there are fields: then each is there once.
    if said.count(b":") == len(there) - there.count(None):
        return
    # A key may be written with escapes.
    if b"\\" not in said and not any(said.count(quoted) > 1 for quoted in _quoted(type(found))):
        return
    # Of the object itself; what is in `context` is the caller's own.
    keys = [key for key, _ in json.loads(said, object_pairs_hook=list)]
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise invalid(f"the key {twice!r} is there twice")


@lru_cache(maxsize=32)
def _quoted(model: type[msgspec.Struct]) -> tuple[bytes, ...]:
    return tuple(f'"{name}"'.encode() for name in model.__struct_fields__)


def _mistake(said: str, model: type[msgspec.Struct]) -> str:
    """What is wrong, for people."""
    known = model.__struct_fields__
    if found := _UNKNOWN.match(said):
        name = found[1]
        return f"unknown key {name[:64]!r}{suggestion(name, known)}"
    if found := _MISSING.match(said):
        return f"{found[1]} is required"
    if not (found := _TYPE.fullmatch(said)):
        return "the body is a JSON object"
    what, name = found[1], found[2]
    if name == "on_stale":
        return f"on_stale: write {' or '.join(get_args(OnStale))}"
    if name in _AMOUNTS and "got `str`" not in what:
        return f'{name} is text, so that it stays exact: write it in quotes, like "12.50"'
    return f"{name}: {what[:1].lower()}{what[1:]}"


def nothing_asked(request: Request) -> None:
    """A guard request has no query: what somebody writes there would be passed over."""
    asked = request.raw_path
    if "#" in asked:
        # What follows is no part of the path, so that two ids would be one, and the second bet a repeat of the first.
        raise invalid("write # as %23 in a path")
    if "?" in asked:
        query.read(request, ())


def path(request: Request, name: str) -> str:
    """A name from the path."""
    return sound(name, request.match_info[name])


def sound(name: str, value: str) -> str:
    """A name as it may be; it becomes part of keys in the store."""
    if not _NAMES[name].match(value):
        raise invalid(f"{value[:64]!r} cannot be {_ARTICLES[name]}")
    return value


def wish(said: CheckRequest, ttl_max: timedelta) -> Wish:
    """A check or a hold, all of it found sound."""
    amount, decimals = money("amount", said.amount)
    ttl = said.ttl if isinstance(said, HoldRequest) else None
    return Wish(
        sound("account", said.account),
        sound("asset", said.asset),
        amount,
        decimals,
        None if ttl is None else _ttl(ttl, ttl_max),
        None if said.max_age is None else span("max_age", said.max_age),
        said.on_stale,
        None if said.exposure is None else money("exposure", said.exposure),
    )


def final_amount(said: CommitRequest) -> int | None:
    """What a bet comes to in the end; None is all that is held."""
    return None if said.amount is None else money("amount", said.amount, "; to give all of it back, release it")[0]


def money(name: str, text: str, instead: str = "") -> tuple[int, int]:
    """An amount in units, and its decimals."""
    try:
        amount, decimals = _units(text)
    except AmountImprecise as error:
        raise Problem("amount-precision", f"{name}: {error}") from None
    except AmountInvalid as error:
        raise invalid(f"{name}: {error}") from None
    if not amount:
        raise invalid(f"{name} is more than zero{instead}")
    return amount, decimals


def _ttl(text: str, longest: timedelta) -> timedelta:
    ttl = span("ttl", text)
    if not ttl:
        raise invalid("ttl is longer than zero")
    if ttl > longest:
        raise invalid(f"ttl is at most {duration_text(longest)}")
    return ttl


def span(name: str, text: str) -> timedelta:
    """A duration like `30s`."""
    try:
        return _span(text)
    except ValueError as error:
        raise invalid(f"{name}: {error}") from None


# Callers send the same few for ever.
_span = lru_cache(maxsize=256)(duration)
_units = lru_cache(maxsize=1024)(units.parse)


def ahead(until: datetime | None, now: datetime) -> datetime | None:
    """The end of a lock, in UTC; one that is over already would lock nothing."""
    if until is None:
        return None
    if until <= now:
        raise invalid("until is in the past: such a lock would hold nobody back")
    try:
        return until.astimezone(UTC)
    except OverflowError:
        raise invalid("until is no time that can be counted: leave it out where there is no end") from None
