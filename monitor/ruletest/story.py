"""What happened in a rule test: how every alert stood at any time, and what the channels heard."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from operator import itemgetter
from typing import NamedTuple

from monitor.model.alert import Severity
from monitor.model.asset import selects
from monitor.ruletest import Meant, State
from monitor.ruletest.inbox import Heard


@dataclass(frozen=True, slots=True)
class Status:
    """How an alert stands."""

    state: State
    level: Severity | None = None
    value: Decimal | None = None
    threshold: Decimal | None = None

    def __str__(self) -> str:
        return f"{self.state} {self.level}" if self.level and self.state != "resolved" else self.state


INACTIVE = Status("inactive")


class About(NamedTuple):
    """What an alert is about: by a name for people, and by its labels as routes see them."""

    name: str
    labels: Mapping[str, str]

    def is_meant_by(self, one: Meant) -> bool:
        """Whether an expectation speaks of this alert."""
        labels = self.labels
        asset = one.labels.get("asset") if one.asset is None else one.asset
        return (
            labels["rule"] == one.alert
            and one.account in (None, labels["account"])
            and (asset is None or selects(asset, labels["asset"]))
            and all(labels.get(name, "") == value for name, value in one.labels.items() if name != "asset")
        )


@dataclass(slots=True)
class Story:
    """What happened in a test; times count from its start, alerts go by their fingerprints.

    `readings` are samples by column, whenever one differs from the poll before; `states` has an alert's status
    whenever it changed, `movements` what became of the ledgers' rows.
    """

    readings: list[tuple[timedelta, tuple[str, ...]]] = field(default_factory=list)
    alerts: dict[str, About] = field(default_factory=dict)
    states: dict[str, list[tuple[timedelta, Status]]] = field(default_factory=dict)
    movements: list[tuple[timedelta, str]] = field(default_factory=list)
    heard: list[tuple[timedelta, Heard]] = field(default_factory=list)

    def status(self, fingerprint: str, at: timedelta) -> Status:
        """How an alert stands after the last look at or before then."""
        states = self.states.get(fingerprint, [])
        place = bisect_right(states, at, key=itemgetter(0))
        return states[place - 1][1] if place else INACTIVE
