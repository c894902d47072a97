"""The function library that every server runs: all that must be atomic is in there.

Its name and its functions' names carry a digest of it, so two releases that differ in anything run side by side on one
store: during a deploy, or when somebody looks at it with another version's command line. What an older release has put
there stays (some 80 kB) until somebody deletes it.
Source: https://redis.io/docs/latest/develop/programmability/functions-intro/
"""

import hashlib
import re
from functools import cache
from pathlib import Path

#: In this order they make one library: what is local to a file is known to those after it.
_FILES = (
    "common",
    "ledger",
    "configuration",
    "limbs",
    "feed",
    "poll",
    "watch",
    "amend",
    "quota",
    "health",
    "window",
    "together",
    "channel",
    "fold",
    "group",
    "hushed",
    "replay",
    "digest",
    "inhibit",
    "damage",
    "wallet",
    "record",
    "hold",
    "resolve",
    "locks",
    "janitor",
    "switch",
)
#: What is local to these is known to them alone: a library has room for two hundred locals.
_ALONE = {"watch", "hushed", "digest", "inhibit", "damage", "hold", "resolve", "locks", "janitor", "switch"}


@cache
def source() -> str:
    """The library as `FUNCTION LOAD` takes it."""
    named = re.sub(r"(?<=register_function\(')\w+", lambda match: called(match[0]), _code())
    return f"#!lua name={called('balance_monitor')}\n{named}"


@cache
def called(function: str) -> str:
    """By which name servers know a function of ours."""
    return f"{function}_{hashlib.blake2b(_code().encode(), digest_size=6).hexdigest()}"


@cache
def _code() -> str:
    return "\n".join(map(_part, _FILES))


def _part(name: str) -> str:
    text = (Path(__file__).parent / "lua" / f"{name}.lua").read_text("utf-8")
    return f"do\n{text}end\n" if name in _ALONE else text


def is_missing(error: Exception) -> bool:
    """Whether a server says that it lacks a function: it was emptied, restarted, or is a new primary."""
    return "Function not found" in str(error)
