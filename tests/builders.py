"""Defaults for everything, so that a test mentions only what it is about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from monitor.model.alert import News
from monitor.model.event import Event
from monitor.model.group import Group, Item, Message, MessageType, Numbered
from monitor.model.ledger import Tried
from monitor.model.record import Commit, Entry, Record, Row
from monitor.model.snapshot import Snapshot
from monitor.model.target import Target

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def entry(alert: str = "a", status: str = "firing", episode: int = 1, **changes: object) -> Entry:
    """What a notification says of the alert called `alert`."""
    resolved = status == "resolved"
    plain = Entry(
        id=f"alr_{alert}{episode}",
        fingerprint=f"fp-{alert}",
        status=status,
        rule="HotWalletLow",
        rule_type="low_balance",
        severity="critical",
        provider="casino",
        account=f"hot-{alert}",
        asset="USDT",
        measure="available",
        value=Decimal("412.50"),
        previous=Decimal("90210.00"),
        threshold=Decimal(80000),
        unit="USDT",
        labels={"role": "hot"},
        annotations={"summary": f"hot-{alert} USDT is down to 412.50"},
        started_at=NOON,
        observed_at=NOON,
        resolved_at=NOON + minutes(31) if resolved else None,
        reason="recovered" if resolved else None,
    )
    return replace(plain, **changes)


def event_entry(name: str = "e1", **changes: object) -> Entry:
    """An event alert about the movement called `name`."""
    event = Event(
        id=name,
        asset="USDT",
        kind="withdraw",
        direction="out",
        amount=Decimal(250_000),
        balance_after=Decimal("1.50"),
        occurred_at=NOON,
        reference="0xabc",
    )
    plain = entry("out", "event", rule="LargeOutflow", rule_type="large_outflow", value=Decimal(250_000))
    return replace(plain, id=f"alr_{name}", event=event, **changes)


def item(news: News, told: Entry, key: str | None = None) -> Item:
    return Item(key or f"{news}/{told.id}", news, told)


def group(*news: Item, **changes: object) -> Group:
    plain = Group(
        channel="ops",
        id="g1",
        version=7,
        token=1,
        labels={"rule": "HotWalletLow", "provider": "casino"},
        interval=minutes(1),
        repeat=timedelta(hours=4),
        due_at=NOON,
        news=news,
        waiting=len(news),
    )
    return replace(plain, **changes)


def message(*alerts: Numbered | Entry, kind: MessageType = "alert.firing", **changes: object) -> Message:
    told = alerts or (entry(),)
    numbered = tuple(one if isinstance(one, Numbered) else Numbered(one, place) for place, one in enumerate(told, 1))
    plain = Message(
        id="ntf_01",
        type=kind,
        at=NOON,
        channel="ops",
        labels={"rule": "HotWalletLow", "provider": "casino"},
        alerts=numbered,
    )
    return replace(plain, **changes)


def target(channel: str = "ops", **changes: object) -> Target:
    plain = Target(channel, f"{channel}-g1", {"rule": "HotWalletLow"}, seconds(10), minutes(1), timedelta(hours=4))
    return replace(plain, **changes)


def row(news: News, told: Entry, *targets: Target) -> Row:
    return Row(news, told, targets or (target(),))


def snapshot(total: str = "100", at: datetime = NOON, asset: str = "USDT") -> Snapshot:
    return Snapshot(at, {asset: {"total": Decimal(total)}})


def commit(before: Record, *rows: Row, total: str = "100", **changes: object) -> Commit:
    """One poll that read `total` after `before`, owing these rows; `changes` are of the new record."""
    return Commit(before, replace(before, snapshot=snapshot(total), **changes), rows=rows)


def failed(why: str) -> Tried:
    """How an attempt went that did not arrive."""
    return Tried(NOON, seconds(1), why)
