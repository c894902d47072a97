"""`EventGap`: part of an account's ledger was not read."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Literal

from monitor.fields import Duration
from monitor.model.alert import Severity, Verdict
from monitor.model.record import Entry
from monitor.rules.facts import Facts, Sighting
from monitor.rules.self_alert import SelfRule
from monitor.rules.templates import subject


class EventGap(SelfRule):
    """Breached while the ledger cannot be read to its end, for longer than it takes to catch up after a pause."""

    alert: str = "EventGap"
    wait: Duration = timedelta(minutes=5)
    keep_firing_for: Duration = timedelta(minutes=10)

    @property
    def steady(self) -> bool:
        return True

    def about(self) -> Literal["asset", "account", "event"]:
        return "account"

    def judge(self, facts: Facts) -> Iterator[Verdict]:
        if isinstance(facts, Sighting) and (facts.gap or "" in facts.alerting):
            level = self.severity if facts.gap else None
            yield Verdict("", level, level, details={"why": facts.gap})

    def breached(self, entry: Entry, details: Mapping[str, str]) -> str:
        if "lost" in details:
            return f"{subject(entry)} has events that will never be judged: {details['lost']}"
        why = details.get("why", "")
        return f"{subject(entry)} may have events not yet judged, its ledger cannot be read to the end: {why}"

    def recovered(self, entry: Entry) -> str:
        return f"{subject(entry)}: its ledger is being read to the end again"


class EventsLost(EventGap):
    """The same alert, at once and at its worst: events were given up. It is over when `EventGap` says so."""

    severity: Severity = "critical"
    wait: Duration = timedelta(0)

    def judge(self, facts: Facts) -> Iterator[Verdict]:
        if isinstance(facts, Sighting) and facts.lost:
            yield Verdict("", self.severity, self.severity, details={"lost": facts.lost})


#: For every account that has a ledger. The first one that judges has judged.
LEDGER_RULES = (EventsLost(), EventGap())
