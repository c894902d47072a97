"""A silence: what people do not want to hear of for a while, who said so and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from monitor.model.event import digest
from monitor.model.labels import Match

#: How long a silence is kept after its end, as Alertmanager keeps them.
KEPT_FOR = timedelta(days=5)
#: At most so many at a time, ended ones included.
SILENCES_MAX = 1_000
TEXT_MAX = 500

State = Literal["pending", "active", "expired"]


@dataclass(frozen=True, slots=True)
class Unless:
    """Lifts a silence for an account while one of its measures is below, or above, an amount."""

    measure: str
    below: Decimal | None = None
    above: Decimal | None = None

    def lifts(self, value: Decimal) -> bool:
        """Whether things are worse than the silence was meant for."""
        return (self.below is not None and value < self.below) or (self.above is not None and value > self.above)


@dataclass(frozen=True, slots=True)
class Silence:
    """`match` is as in routes. Without `starts_at` it holds since ever; `filed` ones stand in the configuration."""

    id: str
    match: Mapping[str, str | tuple[str, ...]]
    ends_at: datetime
    author: str
    comment: str
    starts_at: datetime | None = None
    created_at: datetime | None = None
    unless: Unless | None = None
    filed: bool = False

    def state(self, now: datetime) -> State:
        """Whether it holds."""
        if self.ends_at <= now:
            return "expired"
        return "pending" if self.starts_at is not None and self.starts_at > now else "active"


def silence_id(match: Match, *parts: str) -> str:
    """The same content has the same id."""
    said = [part for label, wanted in sorted(match.items()) for part in (label, *_values(wanted))]
    return f"sil_{digest(*said, '', *parts)}"


def _values(wanted: object) -> tuple[str, ...]:
    return (wanted,) if isinstance(wanted, str) else tuple(wanted)  # type: ignore[arg-type]  # a value or several
