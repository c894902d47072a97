"""Series of rule tests: what polls read, one sample after the other."""

import re
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from monitor.config.mistakes import clip
from monitor.fields import amount
from monitor.model.money import text
from monitor.model.snapshot import OutageKind

#: Polls in one test: ten weeks of one a minute. A test that needs more tests something else.
SAMPLES_MAX = 100_000
_AMOUNT = r"[+-]?\d[\d_]*(?:\.[\d_]*\d)?"


class Mark(Enum):
    """A sample that is no amount: the whole poll failed, or this was not in the answer."""

    ERROR = "error"
    REFUSED = "refused"
    THROTTLED = "throttled"
    GARBLED = "garbled"
    ABSENT = "_"


#: What a failed poll is called where polls are made.
OUTAGES: Mapping[Mark, OutageKind] = {
    Mark.ERROR: "unreachable",
    Mark.REFUSED: "refused",
    Mark.THROTTLED: "throttled",
    Mark.GARBLED: "garbled",
}
_MARKS = "|".join(mark.value for mark in Mark)
_WORD = re.compile(rf"({_MARKS}|{_AMOUNT})(?:x(\d{{1,20}}))?", re.ASCII)
_HOW = "write an amount, error or _, each perhaps repeated: 70000x5"
_HOW_PRICE = "write a price above zero or _, each perhaps repeated: 60000x5"

Sample = Decimal | Mark


def series(value: object) -> tuple[Sample, ...]:
    """`300000 70000x5 errorx10 _x2` as samples; ValueError says which word is none."""
    return _samples(value, _HOW)


def price_series(value: object) -> tuple[Sample, ...]:
    """`60000x5 _` as samples; ValueError for what is neither a price nor the lack of one."""
    found = _samples(value, _HOW_PRICE)
    for one in found:
        if one is not Mark.ABSENT and (isinstance(one, Mark) or one <= 0):
            raise ValueError(f"{one.value if isinstance(one, Mark) else text(one)!r} is no price, {_HOW_PRICE}")
    return found


def _samples(value: object, how: str) -> tuple[Sample, ...]:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return (amount(value),)
    found: list[Sample] = []
    for word in value.split() if isinstance(value, str) else [str(value)]:
        sample, times = _repeated(word, how)
        if len(found) + times > SAMPLES_MAX:
            raise ValueError(f"a test has at most {SAMPLES_MAX} samples")
        found += [sample] * times
    if not found:
        raise ValueError(f"a series needs a sample, {how}")
    return tuple(found)


def _repeated(word: str, how: str) -> tuple[Sample, int]:
    match = _WORD.fullmatch(word)
    if match is None:
        raise ValueError(f"{clip(word)!r} is no sample, {how}")
    what, times = match[1], int(match[2] or 1)
    if times == 0:
        raise ValueError(f"{clip(word)!r} is no sample at all: x1 is the least")
    return (Mark(what) if what in _MARKS.split("|") else amount(what)), times


Series = Annotated[
    tuple[Sample, ...],
    BeforeValidator(series),
    WithJsonSchema({
        "anyOf": [{"type": "string", "pattern": rf"^\s*(({_MARKS}|{_AMOUNT})(x\d+)?\s*)+$"}, {"type": "number"}],
        "description": "one sample a poll: an amount, error (the poll failed; or refused, throttled, garbled) or _ "
        "(not in the answer); 5x3 is 5 5 5",
    }),
]  # fmt: skip
PriceSeries = Annotated[
    tuple[Sample, ...],
    BeforeValidator(price_series),
    WithJsonSchema({
        "anyOf": [{"type": "string", "pattern": r"^\s*((_|\d[\d_]*(?:\.[\d_]*\d)?)(x\d+)?\s*)+$"}, {"type": "number"}],
        "description": "one sample a poll: a price in USD, or _ (not known, or too old); 5x3 is 5 5 5",
    }),
]  # fmt: skip
