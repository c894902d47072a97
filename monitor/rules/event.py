"""`event`: anything in the ledger, by kind, direction and amount."""

from typing import Literal

from pydantic import Field

from monitor.model.event import Direction, Event
from monitor.rules.happening import EventRule


class AnyEvent(EventRule):
    """`{type: event, kinds: [withdraw], direction: out, above: 10_000}`"""

    type: Literal["event"]
    kinds: tuple[str, ...] | None = Field(default=None, min_length=1, description="default: every kind")
    direction: Direction | None = Field(default=None, description="default: both")

    def event_kinds(self) -> tuple[str, ...]:
        return self.kinds or ()

    def fits(self, event: Event) -> bool:
        if self.direction is not None and event.direction != self.direction:
            return False
        return self.kinds is None or event.kind in self.kinds
