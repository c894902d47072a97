"""When the story of a rule test begins."""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from monitor.mistakes import clip

#: When a story begins that does not say: a Thursday.
START = datetime(2026, 1, 1, tzinfo=UTC)
#: Far from where dates end, whatever is added to it.
_YEARS = range(1980, 2201)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:\d\d)", re.ASCII)


def moment(value: object) -> datetime:
    """`2026-11-20T09:00:00Z` as a time in UTC; ValueError for what is none, or does not say where."""
    how = "write a date and time with its offset: 2026-11-20T09:00:00Z"
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise ValueError(f"{clip(str(value))!r} is no moment, {how}")
    try:
        found = datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{clip(value)!r} is in no calendar, {how}") from None
    if found.year not in _YEARS:
        raise ValueError(f"{clip(value)!r} is too far from today, {how}")
    return found


Start = Annotated[
    datetime,
    BeforeValidator(moment),
    WithJsonSchema({"type": "string", "pattern": _MOMENT.pattern.replace("(?:", "(")}),
]
