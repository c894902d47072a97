"""The function library that every server runs: all that must be atomic is in there.

Its name and its functions' names carry a version, so two releases can run side by side during a deploy.
Source: https://redis.io/docs/latest/develop/programmability/functions-intro/
"""

from functools import cache
from pathlib import Path

#: To be raised, here and in the Lua files, whenever a function's keys, arguments or answers change.
LIBRARY = "balance_monitor_2"
#: In this order they make one library: what is local to a file is known to those after it.
_FILES = (
    "common",
    "ledger",
    "configuration",
    "poll",
    "amend",
    "quota",
    "health",
    "window",
    "together",
    "channel",
    "fold",
    "group",
    "digest",
    "inhibit",
    "damage",
)


@cache
def source() -> str:
    """The library as `FUNCTION LOAD` takes it."""
    folder = Path(__file__).parent / "lua"
    parts = [(folder / f"{name}.lua").read_text("utf-8") for name in _FILES]
    return "\n".join((f"#!lua name={LIBRARY}", *parts))


def is_missing(error: Exception) -> bool:
    """Whether a server says that it lacks a function: it was emptied, restarted, or is a new primary."""
    return "Function not found" in str(error)
