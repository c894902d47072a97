"""What the process says to Prometheus of its pre-bet guard."""

from datetime import timedelta

from prometheus_client import CollectorRegistry

from monitor.engine.guardports import Behind, Call, Refreshed, Undone
from monitor.guard.hold import Outcome
from monitor.guard.reasons import Reason
from monitor.metrics.family import Registered

#: A decision takes a millisecond, and its deadline at worst.
_TOOK = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
_AGE = (1, 5, 15, 30, 60, 90, 120, 150, 300, 600, 3600)


class GuardMetrics(Registered):
    """Implements the guard's Meter, in the registry of all metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        decisions = "Decisions by reason; allow, deny, or none: a problem was answered instead, named as the reason."
        self._decisions = self._counter("guard_decisions_total", decisions, "decision", "reason")
        self._took = self._distribution(
            "guard_decision_seconds", "From a check or a hold being read to its answer being known.", _TOOK
        )
        self._ages = self._distribution("guard_age_seconds", "How old the balance was that a decision rested on.", _AGE)
        self._resolutions = self._counter(
            "guard_resolutions_total", "Answers to commit, settled and release.", "call", "outcome"
        )
        self._refreshes = self._counter(
            "guard_refreshes_total",
            "Refreshes; asked: in the background, late: not in time, spent: no quota, failing: left alone.",
            "outcome",
        )
        self._undone = self._counter(
            "guard_undone_total",
            "Holds whose answer came too late; forgotten: too many at once, they expire by themselves.",
            "outcome",
        )
        self._unaudited = self._counter("guard_unaudited_total", "Decisions that were not logged for lack of room.")
        self._open = self._gauge("guard_holds_open", "Open holds that this process has made.")

    def decided(self, reason: Reason, took: timedelta, age: timedelta | None) -> None:
        """A bet was allowed (`OK`) or refused."""
        self._decisions.add("allow" if reason == "OK" else "deny", reason)
        self._took.observe(max(0.0, took.total_seconds()))
        if age is not None:
            self._ages.observe(age.total_seconds())

    def undecided(self, why: str, took: timedelta) -> None:
        """There was no decision."""
        self._decisions.add("none", why)
        self._took.observe(max(0.0, took.total_seconds()))

    def resolved(self, call: Call, outcome: Outcome) -> None:
        """A commit, a settled or a release was answered."""
        self._resolutions.add(call, outcome)

    def refreshed(self, outcome: Refreshed | Behind) -> None:
        """Somebody waited for a refresh, or it was made in the background."""
        self._refreshes.add(outcome)

    def undone(self, outcome: Undone) -> None:
        """What became of a hold whose answer came too late."""
        self._undone.add(outcome)

    def unaudited(self, count: int) -> None:
        """So many decisions were not logged."""
        self._unaudited.add(by=count)

    def open(self, count: int) -> None:
        """So many holds of this process are open."""
        self._open.set(count)
