"""What processes report of themselves: conditions of the monitor, not of anybody's money."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Report:
    """One condition in one process; `name` is the alert that tells it, `about` tells several of a name apart.

    It counts until `until` and is renewed while it lasts, so that what a dead process said ends by itself.
    """

    name: str
    process: str
    since: datetime
    until: datetime
    why: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Reports:
    """What all processes have to report now, read from the store like a balance. It is its own fact, to which judging
    it adds the subjects that have an alert (`alerting`). `running` is how many processes poll, 0 if nobody knows."""

    now: datetime
    told: tuple[Report, ...] = ()
    alerting: frozenset[str] = frozenset()
    running: int = 0
