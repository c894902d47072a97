"""Where news of an alert goes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Target:
    """A channel, a group within it, and that group's timings.

    `route` is the key of the route that led there. `after` is set of a step of an escalation: how long nobody must
    have answered; then `not_before` is when that is, and what is over or answered by then is not told.
    """

    channel: str
    group: str
    labels: Mapping[str, str]
    wait: timedelta
    interval: timedelta
    repeat: timedelta
    route: str = ""
    after: timedelta | None = None
    not_before: datetime | None = None
