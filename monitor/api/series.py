"""Turns points that exist only where a value changed into an even series for charts. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from monitor.model.record import Point

#: Most steps of one answer.
TICKS_MAX = 5_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def held(points: Sequence[Point], since: datetime, until: datetime, step: timedelta) -> list[Point]:
    """The newest value at or before every whole multiple of `step` within [since, until].

    Steps before the first point are left out: what was not known is not zero. `points` are oldest first.
    """
    tick = _EPOCH - ((_EPOCH - since) // step) * step
    result: list[Point] = []
    known, index = None, 0
    while tick <= until:
        while index < len(points) and points[index].at <= tick:
            known, index = points[index], index + 1
        if known is not None:
            result.append(known._replace(at=tick))
        tick += step
    return result
