"""Provider timestamps, whose unit is told by their size and not by the documentation."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import AwareDatetime, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from monitor.model.record import Record

#: From, to (exclusive), nanoseconds each: 2001 to 2286 in seconds, milliseconds, microseconds, nanoseconds.
_UNITS = ((10**9, 10**9), (10**12, 10**6), (10**15, 10**3), (10**18, 1))


def _since(value: object, check: ValidatorFunctionWrapHandler) -> object:
    try:
        return check(value)
    except ValidationError:
        raise ValueError(f"{str(value)[:40]!r} is neither now nor a time like 2026-12-01T06:00:00Z") from None


#: Since when a ledger is told, as people write it.
Since = Annotated[Literal["now"] | AwareDatetime, WrapValidator(_since)]


def micros_of(stamp: int) -> int:
    """A timestamp of seconds, ms, µs or ns as whole microseconds since 1970; ValueError for anything else."""
    for least, nanoseconds in _UNITS:
        if least <= stamp < 10 * least:
            return stamp * nanoseconds // 1000
    raise ValueError(f"{stamp} is no timestamp of this or the next centuries")


def late_before(record: Record, now: datetime, overlap: timedelta, *, behind: bool = False) -> datetime:
    """Events that occurred before this were found after a gap: an outage, a pause or an unfinished walk."""
    was = record.snapshot
    if was is None or behind or record.failing_since is not None or now - was.observed_at > overlap:
        return now
    return was.observed_at - overlap
