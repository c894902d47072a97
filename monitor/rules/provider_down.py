"""`provider_down`: no account of a provider can be read."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import ClassVar, Literal

from pydantic import Field

from monitor.fields import Duration
from monitor.model.alert import Verdict
from monitor.model.record import Entry, Health
from monitor.rules.base import RuleBase
from monitor.rules.facts import Checkup, Facts
from monitor.rules.sandbox import duration
from monitor.rules.stale import verdict_of_silence
from monitor.rules.templates import subject

#: Notes older than this many intervals say nothing of now: perhaps nobody is polling.
_OLD_AFTER = 3
#: Notes are coalesced to about one a second, so a quicker provider is not judged by its own interval.
_OLD_AT_LEAST = timedelta(seconds=10)


class ProviderDown(RuleBase):
    """Breached while a provider failed every poll for longer than `after`, and at once when it refuses us.

    Only a good poll after the failures clears it. Old notes, or a failure still young, give no verdict.
    """

    judges_provider: ClassVar[bool] = True
    judges_outages: ClassVar[bool] = True
    type: Literal["provider_down"]
    after: Duration | None = Field(
        default=None, gt=timedelta(0), description="default: 2 × the provider's shortest interval"
    )

    def about(self) -> Literal["asset", "account", "event"]:
        return "account"

    def judge(self, facts: Facts) -> Iterator[Verdict]:
        if not isinstance(facts, Checkup):
            return
        health, after = facts.health, self.after or 2 * facts.interval
        old = max(after, _OLD_AFTER * facts.interval, _OLD_AT_LEAST)
        if health.noted_at is None or facts.now - health.noted_at > old:
            return
        failing, refused = _still(health.failing_since, health), _still(health.refused_at, health)
        began = min((moment for moment in (failing, refused) if moment), default=None)
        if began is None:
            if health.good_at is not None:
                yield verdict_of_silence(self.severity, timedelta(0), after, {}, bad=False)
        elif refused or facts.now - began > after:
            details = {"why": health.why} if health.why else {}
            yield verdict_of_silence(self.severity, facts.now - began, after, details, bad=True)

    def breached(self, entry: Entry, details: Mapping[str, str]) -> str:
        cause = f": {details['why']}" if "why" in details else ""
        return f"{subject(entry)} has answered no poll for {duration(entry.value)}{cause}"

    def recovered(self, entry: Entry) -> str:
        return f"{subject(entry)} answers again"


def _still(moment: datetime | None, health: Health) -> datetime | None:
    """A trouble that no later good poll has ended."""
    ended = moment is not None and health.good_at is not None and health.good_at >= moment
    return None if ended else moment
