"""Selecting by labels: how rules find their accounts and routes their alerts."""

import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import translate

#: Label → value, list of values, or glob. All must hold.
Match = Mapping[str, str | Sequence[str]]
Labels = Mapping[str, str]
Matcher = Callable[[Labels], bool]

#: Labels that every alert has: "*" takes them all.
ALWAYS_THERE = frozenset({"rule", "rule_type", "severity"})
_MAGIC = frozenset("*?[")


def values_of(wanted: str | Sequence[str]) -> tuple[str, ...]:
    """What a match names of one label."""
    return (wanted,) if isinstance(wanted, str) else tuple(wanted)


def is_glob(value: str) -> bool:
    """Whether a value stands for others too; one that is none is looked up, not searched."""
    return not _MAGIC.isdisjoint(value)


def compile_match(match: Match) -> Matcher:
    """Whether every label named in `match` has one of its values, as a function of the labels.

    A value with `*`, `?` or `[` is a glob, upper and lower case differ. A label that is absent matches
    nothing but the empty value, so `team: "*"` means "has a team" and `team: ""` "has none".
    """
    tests = tuple((label, *_split(wanted)) for label, wanted in match.items())
    if not tests:
        return _anything

    def all_hold(labels: Labels) -> bool:
        for label, plain, globs in tests:
            value = labels.get(label)
            if (value or "") in plain:
                continue
            if value is None or not any(glob(value) for glob in globs):
                return False
        return True

    return all_hold


def _anything(_labels: Labels) -> bool:
    return True


def _split(wanted: str | Sequence[str]) -> tuple[frozenset[str], tuple[Callable[[str], object], ...]]:
    """Plain values to look up, and globs to try."""
    values = values_of(wanted)
    globs = tuple(re.compile(translate(value)).match for value in values if is_glob(value))
    # A value that looks like a glob may also be meant literally: `[hot]` names itself too.
    return frozenset(values), globs
