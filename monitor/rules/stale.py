"""`stale`: nothing new is known of an account."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import ClassVar, Literal

from pydantic import Field

from monitor.fields import Duration
from monitor.model.alert import Severity, Verdict
from monitor.model.money import ZERO
from monitor.model.record import Entry
from monitor.rules.base import RuleBase
from monitor.rules.facts import Blindness, Facts, Sighting
from monitor.rules.sandbox import duration
from monitor.rules.templates import subject

_SECOND = timedelta(seconds=1)
_NO_TIME = timedelta(0)


class Stale(RuleBase):
    """Breached while the newest good snapshot, or the provider's own `as_of`, is older than `after`.

    During an outage shorter than that there is no verdict: the last good poll has said all there is to say.
    """

    judges_outages: ClassVar[bool] = True
    type: Literal["stale"]
    after: Duration | None = Field(default=None, gt=timedelta(0), description="default: `stale_after`")

    @property
    def dated(self) -> bool:
        return True

    def about(self) -> Literal["asset", "account", "event"]:
        return "account"

    def judge(self, facts: Facts) -> Iterator[Verdict]:
        match facts:
            case Sighting(now=now, snapshot=snapshot):
                after = self.after or facts.account.stale_after
                age = _NO_TIME if snapshot.as_of is None else now - snapshot.as_of
                if age > after or "" in facts.alerting:
                    yield verdict_of_silence(self.severity, age, after, {}, bad=age > after)
            case Blindness(now=now, outage=outage):
                after = self.after or facts.account.stale_after
                age = now - (facts.last_good_at or facts.since)
                if age > after:
                    details = {"kind": outage.kind, "why": outage.why}
                    yield verdict_of_silence(self.severity, age, after, details, bad=True)

    def breached(self, entry: Entry, details: Mapping[str, str]) -> str:
        cause = f": {details['kind']}, {details['why']}" if "why" in details else ": the provider repeats old data"
        return f"{subject(entry)} has had no news for {duration(entry.value)}{cause}"

    def recovered(self, entry: Entry) -> str:
        return f"{subject(entry)} is being read again"


def verdict_of_silence(
    severity: Severity, lasted: timedelta, after: timedelta, details: Mapping[str, str], *, bad: bool
) -> Verdict:
    """What is said of an account, or a provider, as a whole; both times are told in whole seconds, rounded down."""
    level, value = severity if bad else None, max(Decimal(lasted // _SECOND), ZERO)
    return Verdict("", level, level, value, None, {severity: Decimal(after // _SECOND)}, None, "s", details)
