"""A digest: what several groups of one channel have to say, as one message."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from monitor.model.group import Group, Hush, Message, Told


class Part(NamedTuple):
    """What one group would say now if it were told by itself."""

    group: Group
    message: Message


@dataclass(frozen=True, slots=True)
class Settled:
    """A member whose part has arrived: what its channel knows now, when it is due, and what is suppressed in it
    (None: what was)."""

    group: str
    told: Mapping[str, Told | None]
    due_at: datetime | None
    hushed: Mapping[str, Hush] | None = None


@dataclass(frozen=True, slots=True)
class Dissolved:
    """A member whose part has not: when it is tried again, whether that counts as an attempt of its own, and whether it
    is to be told by itself then."""

    group: str
    due_at: datetime
    counted: bool = True
    alone: bool = False
