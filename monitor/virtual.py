"""An account on a virtual clock: the daemon's own decisions one after the other, without a store."""

from bisect import bisect_left
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import itemgetter

from monitor.engine.decide import Policy, decide
from monitor.engine.doubt import NO_DOUBTS
from monitor.model.event import Event
from monitor.model.record import Account, Commit, Confirm, Need, Reading, Record
from monitor.rules.base import RuleBase


@dataclass(slots=True)
class Virtual:
    """An account, or a provider as a whole, with its record from one decision to the next.

    `recorded` is what the store would hold of its ledger: when each event was recorded, oldest first. `needed`
    says that the last decision could not be taken without it.
    """

    account: Account
    rules: tuple[RuleBase, ...]
    policy: Policy
    record: Record = field(init=False)
    recorded: list[tuple[datetime, Event]] = field(default_factory=list)
    needed: bool = False

    def __post_init__(self) -> None:
        self.record = Record(self.account.name)

    def decide(self, reading: Reading, now: datetime) -> Commit:
        """What the daemon would have committed for this reading; it is taken as written."""
        given = (self.record, reading, self.account, self.rules, self.policy, now)
        decision, doubts = decide(*given), NO_DOUBTS
        if isinstance(decision, Confirm):
            # What is played is what polls said, so the second reading says the same.
            doubts = decision.doubts
            decision = decide(*given, doubts=doubts)
        self.needed = isinstance(decision, Need)
        if isinstance(decision, Need):
            first = bisect_left(self.recorded, decision.since, key=itemgetter(0))
            decision = decide(*given, tuple(event for _, event in self.recorded[first:]), doubts)
        assert isinstance(decision, Commit), "with the events of the longest window every rule can tell"
        self.record = replace(decision.record, version=self.record.version + 1)
        self.recorded += [(now, event) for event in decision.events]
        return decision
