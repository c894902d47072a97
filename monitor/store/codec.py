"""Stored JSON: what is written, and what any release after this one must be able to read.

Decimals are strings, times ISO 8601 in UTC. Fields that a reader does not know are ignored, fields that a
writer did not have take their defaults: so two releases can share a store.
"""

import dataclasses
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, Self

import msgspec

from monitor.errors import RecordUnreadable, StoreError
from monitor.model.alert import Alert
from monitor.model.damping import Turns
from monitor.model.event import Event, Ledger
from monitor.model.expected import Budgets, Used
from monitor.model.extremes import Steps
from monitor.model.group import Hush, Item, Message, Told
from monitor.model.price import Posted, Quote, Valued
from monitor.model.record import Record, Row
from monitor.model.report import Report
from monitor.model.residual import Opens
from monitor.model.silence import Silence
from monitor.model.snapshot import Outage, Snapshot
from monitor.model.source import Source
from monitor.model.transfers import Leg
from monitor.model.window import BUCKETS, Coverage, Flow

#: Largest stored document. A record is around 1 kB; a provider that reports this much is garbled.
DOCUMENT_MAX = 4 * 1024 * 1024

#: What reading a stored document raises that is damaged, or of a release that knows more than this one.
UNREADABLE = (msgspec.MsgspecError, ValueError, KeyError, TypeError, ArithmeticError)

#: Fields of a record's hash, in the order in which they are read: version, token, the four documents, generation.
FIELDS = ("v", "t", "s", "d", "w", "k", "g")


#: How the names begin of what holds for every asset that has no ring of its own.
_EVERY = "|"
#: How the names begin of what may still be matched with its other end; no sum's name holds a control character.
_TRANSFERS = "\x1etransfers"


class _Reading(msgspec.Struct, frozen=True, omit_defaults=True):
    snapshot: Snapshot | None = None
    outage: Outage | None = None
    failing_since: datetime | None = None
    provider: str = ""
    began_at: datetime | None = None
    doubts: dict[str, datetime] = {}
    valued: dict[str, Valued] = {}
    reported: dict[str, Quote] = {}
    gap: str = ""
    wallet: str = ""


class _Alerts(msgspec.Struct, frozen=True, omit_defaults=True):
    alerts: tuple[Alert, ...] = ()
    checkpoints: dict[str, int] = {}
    floors: dict[str, int] = {}
    lately: dict[str, Turns] = {}
    budgets: dict[str, dict[int, Used]] = {}


class _Ring(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whatever is remembered of a window: sums, extremes, what is open, what holds for all assets without a ring.

    `width` is always written: to a release that knows only sums the others are rings that no rule wants.
    """

    width: int = -1
    sums: Mapping[int, tuple[Decimal, Decimal]] = {}
    opening: Mapping[int, Decimal] = {}
    buckets: int = BUCKETS
    since: int = 0
    steps: Steps = ()
    whole: bool = True
    opens: Opens = ()
    legs: tuple[Leg, ...] = ()

    @property
    def sums_up(self) -> bool:
        """Whether it is a ring of sums."""
        return not (self.steps or self.opens or self.legs)


class Hushed(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is suppressed in a group: the few reasons, and by which of them each of many is."""

    reasons: tuple[Hush, ...] = ()
    by: dict[str, int] = {}

    @classmethod
    def of(cls, hushed: Mapping[str, Hush]) -> Self:
        """As it is stored."""
        places = {hush: place for place, hush in enumerate(dict.fromkeys(hushed.values()))}
        return cls(tuple(places), {key: places[hush] for key, hush in hushed.items()})


_ENCODER = msgspec.json.Encoder()
_reading = msgspec.json.Decoder(_Reading)
_alerts = msgspec.json.Decoder(_Alerts)
_rings = msgspec.json.Decoder(dict[str, _Ring])
_known = msgspec.json.Decoder(dict[str, dict[str, int]])
_event = msgspec.json.Decoder(Event)
_row = msgspec.json.Decoder(Row)
_item = msgspec.json.Decoder(Item)
_told = msgspec.json.Decoder(Told)
_message = msgspec.json.Decoder(Message)
_report = msgspec.json.Decoder(Report)
_posted = msgspec.json.Decoder(Posted)
_silence = msgspec.json.Decoder(Silence)
_source = msgspec.json.Decoder(Source)
_hushed = msgspec.json.Decoder(Hushed)
_labels = msgspec.json.Decoder(dict[str, str])
_members = msgspec.json.Decoder(tuple[str, ...])

event = _event.decode
row = _row.decode
item = _item.decode
told = _told.decode
message = _message.decode
report = _report.decode
labels = _labels.decode
members = _members.decode
silence = _silence.decode
source = _source.decode
posted = _posted.decode


def hushed(stored: bytes) -> dict[str, Hush]:
    """What is suppressed in a group, as `Group.hushed`."""
    held = _hushed.decode(stored)
    return {key: held.reasons[place] for key, place in held.by.items() if place < len(held.reasons)}


def dump(value: Any) -> bytes:
    """A value as JSON; StoreError when it is too large to be stored."""
    text = _ENCODER.encode(value)
    if len(text) > DOCUMENT_MAX:
        raise StoreError(f"a {type(value).__name__} of {len(text)} bytes is too large to be stored")
    return text


def sparing(kind: type[Any]) -> Callable[[Any], bytes]:
    """As `dump` for one dataclass, without what is as usual."""
    fields = dataclasses.fields(kind)
    told = msgspec.defstruct(
        kind.__name__,
        [(one.name, Any, msgspec.NODEFAULT if one.default is dataclasses.MISSING else one.default) for one in fields],
        omit_defaults=True,
    )
    values = attrgetter(*(one.name for one in fields))
    return lambda value: dump(told(*values(value)))


#: A movement: a ledger is the largest thing there is.
dump_event = sparing(Event)


def record(account: str, stored: list[bytes | None]) -> Record:
    """A record from its hash fields in the order of FIELDS; version 0 when there are none.

    RecordUnreadable when they are not what any release up to this one wrote.
    """
    try:
        return _record(account, stored)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise RecordUnreadable(f"the stored record of {account} cannot be read: {type(error).__name__}") from None


def _record(account: str, stored: list[bytes | None]) -> Record:
    version, _, reading, alerts, windows, known, generation = stored
    if version is None:
        return Record(account)
    read = _reading.decode(reading) if reading else _Reading()
    judged = _alerts.decode(alerts) if alerts else _Alerts()
    keys = _known.decode(known) if known else {}
    rings = _rings.decode(windows) if windows else {}
    return Record(
        account=account,
        version=int(version),
        snapshot=read.snapshot,
        outage=read.outage,
        failing_since=read.failing_since,
        alerts=judged.alerts,
        ledgers={
            name: Ledger(at, keys.get(name, {}), judged.floors.get(name, 0)) for name, at in judged.checkpoints.items()
        },
        flows={name: _flow(it) for name, it in rings.items() if name[:1] != _EVERY and it.sums_up},
        extremes={name: it.steps for name, it in rings.items() if it.steps},
        coverage={name: Coverage(it.since, it.whole) for name, it in rings.items() if name[:1] == _EVERY},
        lately=judged.lately,
        provider=read.provider,
        began_at=read.began_at,
        doubts=read.doubts,
        valued=read.valued,
        reported=read.reported,
        gap=read.gap,
        wallet=read.wallet,
        budgets=judged.budgets,
        generation=int(generation or 0),
        residuals={name: it.opens for name, it in rings.items() if it.opens},
        transfers={name.removeprefix(_TRANSFERS): it.legs for name, it in rings.items() if it.legs},
    )


def _flow(ring: _Ring) -> Flow:
    return Flow(ring.width, ring.sums, ring.opening, ring.buckets, ring.since)


def _windows(record: Record) -> dict[str, _Ring]:
    return {
        **{n: _Ring(it.width, it.sums, it.opening, it.buckets, it.since) for n, it in record.flows.items()},
        **{name: _Ring(0, steps=steps) for name, steps in record.extremes.items()},
        **{name: _Ring(0, opens=opens) for name, opens in record.residuals.items()},
        **{name: _Ring(0, since=it.since, whole=it.whole) for name, it in record.coverage.items()},
        **{_TRANSFERS + name: _Ring(0, legs=legs) for name, legs in record.transfers.items()},
    }


def changed(before: Record, after: Record) -> tuple[bytes, bytes, bytes, bytes]:
    """The documents `s d w k` as far as they differ from what is stored; empty ones are unchanged."""
    same_ledgers = before.ledgers is after.ledgers or before.ledgers == after.ledgers
    same_alerts = _same_alerts(before, after)
    same_windows = _same_windows(before, after)
    reading = alerts = windows = known = b""
    if not _same_reading(before, after):
        reading = dump(_reading_of(after))
    if not same_alerts or (not same_ledgers and _cursors(before) != _cursors(after)):
        alerts = alerts_of(after)
    if not same_windows:
        windows = dump(_windows(after))
    if not same_ledgers:
        known = dump({name: ledger.known for name, ledger in after.ledgers.items()})
    return reading, alerts, windows, known


def alerts_of(record: Record) -> bytes:
    """The document `d` of a record: its alerts, and what is stored with them."""
    return dump(_Alerts(record.alerts, *_cursors(record), dict(record.lately), _plain(record.budgets)))


def _reading_of(record: Record) -> _Reading:
    return _Reading(
        record.snapshot, record.outage, record.failing_since, record.provider, record.began_at, dict(record.doubts),
        dict(record.valued), dict(record.reported), record.gap, record.wallet,
    )  # fmt: skip


def _same_reading(before: Record, after: Record) -> bool:
    return (
        before.snapshot is after.snapshot
        and before.outage is after.outage
        and before.failing_since == after.failing_since
        and before.doubts == after.doubts
        and before.valued == after.valued
        and before.reported == after.reported
        and before.wallet == after.wallet
    )


def _same_alerts(before: Record, after: Record) -> bool:
    return (before.alerts is after.alerts or before.alerts == after.alerts) and (
        before.lately == after.lately and before.budgets == after.budgets
    )


def _plain(budgets: Budgets) -> dict[str, dict[int, Used]]:
    return {name: dict(windows) for name, windows in budgets.items()}


def _same_windows(before: Record, after: Record) -> bool:
    return (
        (before.flows is after.flows or before.flows == after.flows)
        and (before.extremes is after.extremes or before.extremes == after.extremes)
        and (before.residuals is after.residuals or before.residuals == after.residuals)
        and (before.coverage is after.coverage or before.coverage == after.coverage)
        and (before.transfers is after.transfers or before.transfers == after.transfers)
    )


def _cursors(record: Record) -> tuple[dict[str, int], dict[str, int]]:
    ledgers = record.ledgers.items()
    return {n: it.checkpoint for n, it in ledgers}, {n: it.floor for n, it in ledgers if it.floor}


def flat(pairs: list[bytes]) -> Mapping[str, bytes]:
    """A hash as RESP 2 answers it: name, value, name, value."""
    return {pairs[at].decode(): pairs[at + 1] for at in range(0, len(pairs), 2)}
