"""What is stored of an account's past: every value it took of late, the last of each hour before, its ledger."""

from datetime import datetime
from typing import NamedTuple

from monitor.model.event import Event
from monitor.model.record import Point


class Past(NamedTuple):
    """An account since some time.

    `points` are oldest first, with the values that held at that time already, however old; `events` are in the order
    in which they were recorded, each with the time of its reading. Before `fine_from` only the last value of each
    hour is known (None: every value is).
    """

    points: tuple[Point, ...] = ()
    events: tuple[tuple[datetime, Event], ...] = ()
    fine_from: datetime | None = None
