"""What is known of a subject that a reading says nothing of, and what a rule's `on_no_data` makes of that. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from monitor.model.alert import Alert, DataFlag, Severity, State, Verdict
from monitor.model.asset import bare
from monitor.model.record import Record
from monitor.model.snapshot import Snapshot
from monitor.rules.base import RuleBase
from monitor.rules.facts import Blindness, Facts, Sighting


def without_gap(record: Record, bearable: timedelta, now: datetime) -> Iterable[Alert]:
    """The open alerts; pending ones begin anew where nobody has asked for longer than that.

    While we ask and are not told their timer pauses, for however long. While we do not ask, anything may have been.
    """
    asked = [known.observed_at] if (known := record.snapshot) else []
    if record.outage is not None:
        asked.append(record.outage.at)
    if not record.alerts or not asked or now - max(asked) <= bearable:
        return record.alerts
    return [
        replace(alert, pending_since=now, waited=timedelta(0), counted_at=now)
        if alert.state is State.PENDING and alert.counted_at is None
        else alert
        for alert in record.alerts
    ]


def last_read(rule: RuleBase, subject: str, facts: Facts, known: Snapshot | None) -> datetime | None:
    """When all that a rule needs of a subject was last read, if this reading lacks it; None if it does not.

    None too for what was never read: nothing can be said of it.
    """
    if isinstance(facts, Sighting) and _holds(facts.snapshot, subject, rule.measures()):
        return None
    if known is None or not _holds(known, subject, rule.measures()):
        return None
    return known.seen.get(subject, known.observed_at)


def data_flag(facts: Facts, read_at: datetime | None) -> DataFlag:
    """How far an alert that this reading did not judge can be trusted; `read_at` is what `last_read` said.

    A reading that has everything and still gives no verdict lacks a price, or history: `unknown`.
    """
    match facts:
        case Blindness(last_good_at=good, since=since):
            at = read_at or good or since
        case Sighting() if read_at is not None:
            at = read_at
        case _:
            return "unknown"
    return "stale" if facts.now - at > facts.account.stale_after else "error"


def supposed(alert: Alert, level: Severity | None, read_at: datetime | None) -> Verdict:
    """The verdict `on_no_data` gives an open alert: this level, by the facts it has."""
    return Verdict(
        subject=alert.subject,
        bad=level,
        held=level,
        value=alert.value,
        previous=alert.previous,
        thresholds={} if alert.threshold is None else {alert.severity: alert.threshold},
        measure=alert.measure,
        unit=alert.unit,
        details=_since(read_at),
        data="stale",
    )


def read_again(alert: Alert | None, verdict: Verdict) -> Verdict:
    """The verdict saying, of an alert that only ever fired because nothing was read, since when that was.

    Such an alert has no threshold; a reading that is bad makes it one like any other.
    """
    if alert is None or verdict.bad is not None or verdict.data != "ok" or alert.state is not State.FIRING:
        return verdict
    since = alert.details.get("read_again") or (alert.threshold is None and alert.details.get("no_data_since"))
    return verdict._replace(details={**verdict.details, "read_again": since}) if since else verdict


def vanished(rule: RuleBase, facts: Facts, known: Snapshot | None) -> Iterator[tuple[datetime, Verdict]]:
    """Of a rule with `on_no_data: fire`: the assets last known that have gone unread for too long, as bad.

    The level is the mildest the rule has: that nothing was read does not say how bad it is.
    """
    if known is None or rule.about() != "asset":
        return
    gone: dict[str, datetime] = {}
    for asset in known.amounts:
        read_at = last_read(rule, asset, facts, known) if rule.watches(asset) else None
        if read_at is not None and data_flag(facts, read_at) == "stale":
            gone[asset] = read_at
    if gone and isinstance(facts, Sighting):
        # A rule may be able to judge without all it reads: `false and unknown` is false.
        everything = facts._replace(alerting=gone)
        judged = {verdict.subject for verdict in rule.judge(everything) if isinstance(verdict, Verdict)}
        gone = {asset: read_at for asset, read_at in gone.items() if asset not in judged}
    for asset, read_at in gone.items():
        value, measure = _last_value(rule, asset, known)
        unit = None if value is None else bare(asset)
        level = rule.mildest
        yield read_at, Verdict(asset, level, level, value, None, {}, measure, unit, _since(read_at), data="stale")


def _last_value(rule: RuleBase, asset: str, known: Snapshot) -> tuple[Decimal | None, str | None]:
    """What a rule on one measure read last; of one that rates worth or movements, no single amount tells."""
    measures = rule.measures()
    if len(measures) != 1 or rule.flow() or rule.extreme():
        return None, None
    in_usd = getattr(rule, "unit", "asset") == "usd"
    return (None if in_usd else known.of(asset, measures[0])), measures[0]


def _holds(snapshot: Snapshot, subject: str, measures: tuple[str, ...]) -> bool:
    told = snapshot.amounts.get(subject)
    return told is not None and all(measure in told for measure in measures)


def _since(read_at: datetime | None) -> dict[str, str]:
    return {} if read_at is None else {"no_data_since": f"{read_at:%Y-%m-%dT%H:%M:%SZ}"}
