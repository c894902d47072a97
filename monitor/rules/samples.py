"""Made-up alerts of every kind a rule can send: its templates are tried on them when it is loaded."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from monitor.model.alert import Severity
from monitor.model.event import Event
from monitor.model.record import Entry

_THEN = datetime(2026, 11, 20, 12, tzinfo=UTC)
SAMPLE_NOW = _THEN + timedelta(seconds=3)


class AnyText(dict[str, str]):
    """Whichever label is asked for: which ones an account has is not known when a rule is loaded."""

    def __missing__(self, key: str) -> str:
        return f"some-{key}"[:64]


def samples(
    rule: str, rule_type: str, severity: Severity, labels: dict[str, str], *, about: str, measure: str | None
) -> Iterator[Entry]:
    """Entries as this rule would send them. `about` is what it speaks of: an asset, an account, an event."""
    asset = None if about == "account" else "USDT"
    firing = Entry(
        id="alr_sample",
        fingerprint="sample",
        status="firing",
        rule=rule,
        rule_type=rule_type,
        severity=severity,
        provider="casino",
        account="hot-usdt",
        asset=asset,
        measure=measure,
        value=Decimal("412.50"),
        previous=None,
        threshold=Decimal(80_000),
        unit="s" if about == "account" else "USDT",
        labels=AnyText(labels),
        annotations={},
        started_at=_THEN,
        observed_at=_THEN,
    )
    if about == "event":
        yield from _events(firing)
        return
    yield firing
    yield replace(firing, previous=Decimal("90210.00"))
    resolved_at = _THEN + timedelta(minutes=5)
    yield replace(firing, status="resolved", resolved_at=resolved_at, reason="recovered")


def _events(entry: Entry) -> Iterator[Entry]:
    """A full event, and one of which the provider tells little."""
    full = Event(
        id="evt_sample",
        asset="USDT",
        kind="withdraw",
        direction="out",
        amount=Decimal("412.50"),
        occurred_at=_THEN,
        balance_after=Decimal(1000),
        reference="0xabc",
    )
    yield replace(entry, status="event", event=full)
    bare = replace(full, direction=None, balance_after=None, reference=None, late=True)
    yield replace(entry, status="event", event=bare, threshold=None)
