"""Alerts on what processes report of themselves: one line each."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import ClassVar, Literal

from monitor.fields import Duration, Threshold, ThresholdField
from monitor.model.alert import Verdict
from monitor.model.record import Entry
from monitor.model.report import Report, Reports
from monitor.rules.facts import Facts
from monitor.rules.self_alert import EVERYWHERE, NOTIFICATION_FAILING, SelfRule

#: Different causes told in one sentence, and processes named in it.
_TOLD_MAX = 3


class Reported(SelfRule):
    """Breached while any process reports the condition of this name.

    `said` and `over` are its sentences. With `counted` each further report is told again; with `each` everything that
    reports are about has an alert of its own, with a label of that name; with `shared` a label says whether every
    process that polls reports it. A store that was away for longer than reports count gives nobody the time to renew
    them: hence the moment's patience at the end.
    """

    worse: ClassVar[Literal["higher"]] = "higher"
    keep_firing_for: Duration = timedelta(seconds=10)
    said: str
    over: str
    counted: bool = False
    each: str = ""
    shared: bool = False
    renotify_every: ThresholdField | None = Threshold(Decimal(1), percent=False)

    def about(self) -> Literal["asset", "account", "event"]:
        return "asset" if self.each else "account"

    def judge(self, facts: Facts) -> Iterator[Verdict]:
        if not isinstance(facts, Reports):
            return
        found = [report for report in facts.told if report.name == self.alert]
        if self.each:
            yield from self._apart(found, facts.alerting)
            return
        level = self.severity if found else None
        count = Decimal(len({report.about for report in found})) if self.counted and found else None
        labels = {EVERYWHERE: "true" if _everywhere(found, facts.running) else "false"} if self.shared else {}
        yield Verdict("", level, level, count, details=_details(found), labels=labels)

    def _apart(self, found: list[Report], alerting: frozenset[str]) -> Iterator[Verdict]:
        """One verdict for each that a report or an alert is about."""
        for about in dict.fromkeys([*(report.about for report in found), *sorted(alerting - {""})]):
            # Several processes see the same: the one that has looked last says it.
            last = max((report for report in found if report.about == about), key=_looked, default=None)
            level = self.severity if last else None
            yield Verdict(about, level, level, details={"why": last.why} if last else {}, labels={self.each: about})

    def breached(self, entry: Entry, details: Mapping[str, str]) -> str:
        if self.each:
            return f"{entry.labels.get(self.each, '')} {self.said}: {details.get('why', '')}"
        where = f" ({details['processes']})" if "processes" in details else ""
        return f"{self.said}{where}: {details.get('why', '')}"

    def recovered(self, entry: Entry) -> str:
        return f"{entry.labels.get(self.each, '')} {self.over}" if self.each else self.over


def _everywhere(found: list[Report], running: int) -> bool:
    """Also of what nobody reports any more: where it was so it has ended, and elsewhere it makes no difference."""
    return not found or len({report.process for report in found}) >= running


def _looked(report: Report) -> tuple[datetime, str]:
    return report.until, report.process


def _details(found: list[Report]) -> Mapping[str, str]:
    if not found:
        return {}
    return {"why": _few(found, "why", "; "), "processes": _few(found, "process", ", ")}


def _few(found: list[Report], name: str, between: str) -> str:
    """The first few different ones, oldest first, and how many more there are."""
    ordered = sorted(found, key=lambda report: (report.since, report.process, report.about))
    different = list(dict.fromkeys(getattr(report, name) for report in ordered))
    more = f"{between}and {len(different) - _TOLD_MAX} more" if len(different) > _TOLD_MAX else ""
    return between.join(different[:_TOLD_MAX]) + more


#: What judges the reports. A new condition is one more of these, and somebody who reports it.
REPORTED_RULES = (
    Reported(
        alert="ConfigReloadFailed",
        said="the configuration was not reloaded, the old one stays in force",
        over="no process runs on an older configuration than the one in its files any more",
    ),
    Reported(
        alert=NOTIFICATION_FAILING,
        severity="critical",
        said="takes no messages",
        over="takes messages again",
        each="channel",
    ),
    Reported(
        alert="StateLost",
        severity="critical",
        said="the store has lost data, what was known of these accounts begins anew",
        over="the store has lost nothing since",
    ),
    Reported(
        alert="SelfOffline",
        severity="critical",
        said="this monitor is offline, nothing it says of providers can be trusted",
        over="this monitor is online again",
        shared=True,
    ),
    Reported(
        alert="SilenceEnding",
        said="is about to end",
        over="has ended, or holds nothing back any more",
        each="silence",
    ),
    Reported(
        alert="GuardClosed",
        severity="critical",
        said="keeps the guard closed, every bet is refused",
        over="keeps the guard closed no longer",
        each="cause",
    ),
    Reported(
        alert="GuardQuarantined",
        severity="critical",
        said="the guard refuses new holds, those in the store are in doubt",
        over="the guard holds again: what was in doubt is over",
    ),
    Reported(
        alert="GuardLateCommit",
        severity="critical",
        said="bets were settled after their hold had expired, nothing stood for them",
        over="no bet was settled after its hold had expired since",
        counted=True,
    ),
    Reported(
        alert="GuardUnsettled",
        said="has debits that no reading shows",
        over="has no debits any more that no reading shows",
        each="wallet",
    ),
    Reported(
        alert="TemplateError",
        said="a template failed, its alert went out with the built-in text",
        over="no template has failed since",
        counted=True,
    ),
)
