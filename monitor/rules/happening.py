"""What `liquidation` and `event` share: each fresh event that fits is told once."""

from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field

from monitor.fields import Amount
from monitor.model.alert import EventVerdict
from monitor.model.asset import bare
from monitor.model.event import Event
from monitor.model.record import Entry
from monitor.rules.base import RuleBase
from monitor.rules.facts import Facts, Sighting
from monitor.rules.templates import movement, subject


class EventRule(RuleBase):
    """One alert per fresh event that `fits`. It never resolves."""

    above: Amount | None = Field(default=None, ge=0, description="only events of more than this amount")

    @property
    def steady(self) -> bool:
        return True

    def about(self) -> Literal["asset", "account", "event"]:
        return "event"

    def fits(self, event: Event) -> bool:
        """Whether an event is of the sort this rule looks for, whatever its asset and amount."""
        raise NotImplementedError

    def judge(self, facts: Facts) -> Iterator[EventVerdict]:
        if not isinstance(facts, Sighting):
            return
        for event in facts.events:
            if not self.fits(event) or not self.watches(event.asset):
                continue
            if self.above is None or event.amount > self.above:
                unit = bare(event.asset)
                yield EventVerdict(event, self.severity, event.amount, self.above, unit=unit)

    def breached(self, entry: Entry, details: Mapping[str, str]) -> str:  # noqa: ARG002 - other types use them
        event = entry.event
        if event is None:
            return f"{subject(entry)} {self.type}"
        late = f", found late: it occurred at {event.occurred_at:%Y-%m-%d %H:%M:%S} UTC" if event.late else ""
        return f"{movement(entry, event)}{late}"
