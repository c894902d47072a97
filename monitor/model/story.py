"""What an alert went through, one chapter per change: worked out from what a commit changes. Pure.

Only changes are chapters. A poll that reads the same, or another amount, adds none.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from monitor.model.alert import Alert, DataFlag, Severity, State
from monitor.model.record import Commit, Record, Row

#: `dropped` was pending and never fired; `routed` is told to more channels, since the route was edited; `data` is
#: another trust in the facts behind it, `acked` that somebody takes care of it.
What = Literal["pending", "firing", "updated", "resolved", "event", "routed", "dropped", "data", "acked"]


@dataclass(frozen=True, slots=True)
class Chapter:
    """One change of one alert.

    `record` is the account (or what stands for a provider, a sum, the monitor) in whose record it lives. `row` is the
    place of its news among the commit's rows, None when there were none; `owed` are the (channel, group) they went to.
    `note` is for people. `account` and `asset` are what messages say, empty where an alert is about none.
    """

    alert: str
    what: What
    rule: str
    record: str
    account: str
    subject: str
    severity: Severity
    observed_at: datetime
    value: Decimal | None = None
    threshold: Decimal | None = None
    measure: str | None = None
    unit: str | None = None
    reason: str | None = None
    data: DataFlag = "ok"
    row: int | None = None
    owed: tuple[tuple[str, str], ...] = ()
    note: str = ""
    asset: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """A chapter as it was stored: when, and by which version of the record."""

    at: datetime
    version: int
    chapter: Chapter

    @property
    def key(self) -> str:
        """The name of its news within a group."""
        return f"{self.version}-{self.chapter.row}@{self.chapter.record}"


def chapters(commit: Commit) -> tuple[Chapter, ...]:
    """What a commit changes in its account's alerts: in the order of its rows, then what nobody is told."""
    before = {alert.id: alert for alert in commit.before.alerts}
    told = [(place, row) for place, row in enumerate(commit.rows) if row.news != "inhibits"]
    return (
        *(_of_row(commit.record.account, place, row, before) for place, row in told),
        *_untold(commit, before, {row.entry.id for _, row in told}),
    )


def of_alert(what: What, record: str, alert: Alert, note: str = "") -> Chapter:
    """A chapter about an alert as it stands."""
    # No account name may hold a colon.
    stands_in = ":" in record
    return Chapter(
        alert=alert.id,
        what=what,
        rule=alert.rule,
        record=record,
        account=alert.labels.get("account", "") if stands_in else record,
        subject=alert.subject,
        severity=alert.severity,
        observed_at=alert.observed_at,
        value=alert.value,
        threshold=alert.threshold,
        measure=alert.measure,
        unit=alert.unit,
        data=alert.data,
        note=note,
        asset=alert.labels.get("asset", "") if stands_in else alert.subject,
    )


def _of_row(record: str, place: int, row: Row, before: dict[str, Alert]) -> Chapter:
    entry, known = row.entry, before.get(row.entry.id)
    assert row.news != "inhibits", "it changes nothing of the alert"
    what: What = "updated" if row.news == "reminder" else row.news
    if what == "firing" and known is not None and known.state is State.FIRING:
        what = "routed"
    return Chapter(
        alert=entry.id,
        what=what,
        rule=entry.rule,
        record=record,
        account=entry.account,
        subject=known.subject if known else entry.asset or "",
        severity=entry.severity,
        observed_at=entry.observed_at,
        value=entry.value,
        threshold=entry.threshold,
        measure=entry.measure,
        unit=entry.unit,
        reason=entry.reason,
        row=place,
        owed=tuple((target.channel, target.group) for target in row.targets),
        note=_note(what, known, row),
        asset=entry.asset or "",
    )


def _note(what: What, known: Alert | None, row: Row) -> str:
    """What is to be said besides the facts."""
    if what == "acked" and row.entry.acked is not None:
        return f"by {row.entry.acked.by}: {row.entry.acked.comment}"
    if what != "updated" or known is None or known.severity == row.entry.severity:
        return ""
    over = known.acked is not None and row.entry.acked is None
    return f"was {known.severity}" + (", and its acknowledgement ends with that" if over else "")


def _untold(commit: Commit, before: dict[str, Alert], told: set[str]) -> Iterator[Chapter]:
    name, left = commit.record.account, dict(before)
    for alert in commit.record.alerts:
        known = left.pop(alert.id, None)
        if alert.id in told or alert is known:
            continue
        if known is None:
            yield of_alert("pending", name, alert)
        elif alert.state is State.PENDING and alert.pending_since != known.pending_since:
            yield of_alert("pending", name, alert, _gap(commit.before, known, alert))
        elif alert.data != known.data:
            yield _trusted(name, alert)
    for alert in left.values():
        if alert.id not in told:
            yield of_alert("dropped", name, alert, "it ended before it had lasted long enough to fire")


def _trusted(record: str, alert: Alert) -> Chapter:
    """The facts behind an alert can be trusted otherwise than before."""
    if alert.state is State.FIRING:
        return of_alert("data", record, alert)
    return of_alert("pending", record, alert, "its time goes on" if alert.data == "ok" else "its time pauses")


def _gap(before: Record, known: Alert, alert: Alert) -> str:
    """Why a pending alert counts from the beginning again."""
    asked = [known.counted_at] if known.counted_at else []
    if not asked:
        # It paused: what counts is when we last asked, whatever the answer.
        asked += [before.snapshot.observed_at] if before.snapshot else []
        asked += [before.outage.at] if before.outage else []
    if not asked:
        return "began again"
    gap = max(alert.pending_since - max(asked), timedelta(0))
    return f"began again after a gap of {timedelta(seconds=int(gap.total_seconds()))}"
