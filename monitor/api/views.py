"""How accounts, alerts and events look from outside: JSON-ready values, amounts as decimal strings. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import overload

import msgspec

from monitor.api.shapes import (
    AccountShown,
    Acknowledged,
    AlertShown,
    EventShown,
    Failure,
    Item,
    Known,
    Page,
    PointShown,
    Status,
)
from monitor.engine.drill import DRILLS, pretended
from monitor.engine.notice import Rules, whom
from monitor.model.acked import Acked
from monitor.model.alert import Alert, DataFlag, State
from monitor.model.event import Event
from monitor.model.money import text
from monitor.model.record import Account, Point, Record
from monitor.model.snapshot import Snapshot
from monitor.redact import redact

_MILLISECOND = timedelta(milliseconds=1)
_SECOND = timedelta(seconds=1)


@overload
def stamp(moment: datetime) -> str: ...
@overload
def stamp(moment: None) -> None: ...
@overload
def stamp(moment: datetime | None) -> str | None: ...
def stamp(moment: datetime | None) -> str | None:
    """UTC with milliseconds, as in every payload: `2026-11-20T12:00:00.000Z`."""
    if moment is None:
        return None
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    # A fifth of the price of `isoformat`.
    text: str = msgspec.to_builtins(utc)
    return f"{text[:23]}Z" if utc.microsecond else f"{text[:19]}.000Z"


def age(moment: datetime | None, now: datetime) -> timedelta | None:
    """How long ago; never negative, because two clocks may differ a little."""
    return None if moment is None else max(timedelta(0), now - moment)


def age_text(elapsed: timedelta | None) -> str:
    """An age for people, in its two largest units: `48s`, `3m 20s`, `2d 4h`; `never` for None."""
    if elapsed is None:
        return "never"
    left = elapsed // _SECOND
    parts: list[tuple[int, str]] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or parts or unit == "s":
            parts.append((count, unit))
    return " ".join(f"{count}{unit}" for count, unit in parts[:2] if count or len(parts) == 1)


def status(account: Account, record: Record, now: datetime) -> Status:
    """One word: `never` (no good reading yet), `stale`, `failing` (the last poll) or `ok`."""
    if record.snapshot is None:
        return "never"
    if now - record.snapshot.observed_at > account.stale_after:
        return "stale"
    return "ok" if record.failing_since is None else "failing"


def account_view(
    account: Account,
    record: Record,
    next_at: datetime | None,
    now: datetime,
    rules: Rules,
    *,
    configured: bool = True,
    expires_at: datetime | None = None,
) -> AccountShown:
    """One account: what is known, how old that is, what is wrong, and when it is looked at again."""
    return {
        "id": account.name,
        "provider": account.provider,
        "configured": configured,
        "expires_at": stamp(expires_at),
        "labels": dict(account.labels),
        "status": status(account, record, now),
        **_snapshot_view(record.snapshot, now),
        "next_poll_at": stamp(next_at),
        "failure": _failure_view(record),
        "alerts": [alert_view(alert, account, now, rules) for alert in open_alerts(record)],
    }


def _snapshot_view(snapshot: Snapshot | None, now: datetime) -> Known:
    if snapshot is None:
        return {
            "observed_at": None,
            "as_of": None,
            "age_ms": None,
            "amounts": {},
            "usd": {},
            "seen_at": {},
            "missing": [],
            "missing_why": None,
        }
    old = age(snapshot.observed_at, now)
    assert old is not None
    return {
        "observed_at": stamp(snapshot.observed_at),
        "as_of": stamp(snapshot.as_of),
        "age_ms": old // _MILLISECOND,
        "amounts": {asset: _texts(measures) for asset, measures in sorted(snapshot.amounts.items())},
        "usd": _texts(snapshot.usd),
        "seen_at": {asset: stamp(snapshot.seen.get(asset, snapshot.observed_at)) for asset in sorted(snapshot.amounts)},
        "missing": list(snapshot.missing),
        "missing_why": redact(snapshot.why) or None,
    }


def _failure_view(record: Record) -> Failure | None:
    if record.failing_since is None:
        return None
    outage = record.outage
    return {
        "since": stamp(record.failing_since),
        "kind": outage.kind if outage else None,
        "why": redact(outage.why) if outage else None,
    }


def open_alerts(record: Record) -> list[Alert]:
    """The account's pending and firing alerts."""
    return [alert for alert in record.alerts if alert.state is not State.RESOLVED]


def data_flag(alert: Alert, account: Account, now: datetime) -> DataFlag:
    """How far an alert's facts can be trusted by now: they age when nobody polls, too."""
    aged = alert.data != "unknown" and now - alert.observed_at > account.stale_after
    return "stale" if aged else alert.data


def alert_view(alert: Alert, account: Account, now: datetime, rules: Rules) -> AlertShown:
    """One alert as it stands, about whom messages say; `data` says how far its facts can be trusted."""
    about = pretended(alert) if account.name == DRILLS else whom(rules.get(alert.rule), account, alert)
    return {
        "id": alert.id,
        "fingerprint": alert.fingerprint,
        "state": alert.state,
        "severity": alert.severity,
        "rule": alert.rule,
        "rule_type": alert.rule_type,
        "provider": about.provider,
        "account": about.account,
        "asset": about.asset or None,
        "measure": alert.measure,
        "value": _maybe(alert.value),
        "previous": _maybe(alert.previous),
        "threshold": _maybe(alert.threshold),
        "unit": alert.unit,
        "data": data_flag(alert, account, now),
        "flapping": alert.flapping,
        "labels": dict(about.labels),
        "details": dict(alert.details),
        "pending_since": stamp(alert.pending_since),
        "started_at": stamp(alert.started_at),
        "observed_at": stamp(alert.observed_at),
        "acknowledged": _acked_view(alert.acked),
    }


def _acked_view(acked: Acked | None) -> Acknowledged | None:
    return None if acked is None else {"by": acked.by, "at": stamp(acked.at), "comment": acked.comment}


def event_view(event: Event) -> EventShown:
    """One ledger movement; `late` marks one that was found after a gap, `expected` what was announced of it."""
    return {
        "id": event.id,
        "asset": event.asset,
        "kind": event.kind,
        "direction": event.direction,
        "amount": text(event.amount),
        "balance_after": _maybe(event.balance_after),
        "occurred_at": stamp(event.occurred_at),
        "reference": event.reference,
        "late": event.late,
        "reverted": event.reverted,
        "imported": event.imported,
        "to": list(event.to),
        "expected": [{"by": use.by, "amount": text(use.amount)} for use in event.expected],
    }


def point_view(point: Point) -> PointShown:
    """One point of a series."""
    return {"at": stamp(point.at), "value": text(point.value)}


def page(items: Iterable[Item], next_cursor: str | None) -> Page[Item]:
    """A list as every endpoint returns it."""
    return {"items": list(items), "next_cursor": next_cursor}


def _texts(values: Mapping[str, Decimal]) -> dict[str, str]:
    return {name: text(value) for name, value in sorted(values.items())}


def _maybe(value: Decimal | None) -> str | None:
    return None if value is None else text(value)
