"""What the accounts of a rule teach together: sums as they stand, and rings of their movements. Pure."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from monitor.engine.pricing import PriceBook
from monitor.engine.settling import settled
from monitor.model.alert import Alert
from monitor.model.event import Event, digest, standing
from monitor.model.price import Quotes
from monitor.model.record import Account, Record, Roundup, RuleWatch
from monitor.model.settlement import Piece
from monitor.model.snapshot import Snapshot
from monitor.model.transfers import Leg
from monitor.model.window import BUCKETS, Flow, flow, micros, record_flow, undo_flow
from monitor.rules.aggregate import of_ring, ring_name, subject_of_account
from monitor.rules.base import RuleBase
from monitor.rules.facts import FlowSpec, Overview

_ONE = Decimal(1)
#: A member is read up to an interval after something moved there, and nobody says how long that is: the windows of as
#: long as the present one are remembered, so that a sum knows which of them may have been bad.
_SPARE = BUCKETS
#: No source of prices says that older ones hold.
PRICES_KEPT = timedelta(days=1)


def stream_of(rule: RuleBase, spec: FlowSpec, crew: str = "") -> str:
    """How the names begin of the places up to which the movements were counted.

    Named after all that says what is counted as what: a rule that was edited counts anew. So does one whose accounts,
    of which `crew` is a digest, have changed: nothing in a ring tells what a removed one has put there.
    """
    chosen = sorted((label, json.dumps(wanted)) for label, wanted in rule.match.items())
    told = digest(json.dumps([rule.summed_by, rule.assets, chosen]), *([crew] if crew else []))
    return f"moves|{spec.key('')}|{told}|"


def round_up(
    record: Record,
    reading: Roundup,
    account: Account,
    rule: RuleBase,
    now: datetime,
    recorded: tuple[Event, ...] | None,
    book: PriceBook,
) -> tuple[Record, Overview]:
    """The record knowing this reading, and the facts that its one rule judges."""
    spec, watch = rule.flow(), account.target
    assert isinstance(watch, RuleWatch)
    counted, pieces = reading.events, tuple[Piece, ...]()
    begins = record.ledgers.keys().isdisjoint(reading.ledgers)
    known: Mapping[str, Flow] = {} if begins else record.flows
    transfers: Mapping[str, tuple[Leg, ...]] = record.transfers
    if spec is not None and spec.settle is not None:
        result = settled(record, reading.events, rule, spec, now, begins=begins)
        # What is still remembered one by one needs no ring.
        counted, pieces = tuple(piece.as_event() for piece in result.folded), result.pieces
        transfers = {spec.suffix: result.legs} if result.legs else {}
    elif transfers:
        transfers = {}
    flows = known if spec is None else _count(known, counted, watch, rule, spec, now)
    reported = _reported(record.reported, reading.prices, now) if rule.in_usd else {}
    following = replace(record, flows=flows, ledgers=reading.ledgers, transfers=transfers, reported=reported)
    return record if following == record else following, Overview(
        now=now,
        account=account,
        reading=reading,
        flows=flows,
        recorded=None if recorded is None else standing(recorded),
        prices=book.prices(_as_snapshot(reading, flows, pieces), now, reported),
        alerting=frozenset([alert.subject for alert in record.alerts if _is_of(alert, rule, watch)]),
        pieces=pieces,
        events=() if begins else reading.events,
    )


def _is_of(alert: Alert, rule: RuleBase, watch: RuleWatch) -> bool:
    """Whether an alert is about what this rule tells apart now, and about an account that it is still over."""
    labels = alert.labels
    return tuple(labels) == rule.summed_by and ("account" not in labels or labels["account"] in watch.members)


def _reported(known: Quotes, told: Quotes, now: datetime) -> Quotes:
    """The newest price of each asset, also of one that no member holds any more: a restart must not forget it."""
    newest = {
        **known,
        **{asset: quote for asset, quote in told.items() if asset not in known or quote.beats(known[asset])},
    }
    return {asset: quote for asset, quote in newest.items() if now - quote.at <= PRICES_KEPT}


def _as_snapshot(reading: Roundup, flows: Mapping[str, Flow], pieces: tuple[Piece, ...]) -> Snapshot:
    """One of each asset: that is how prices are asked for."""
    assets = {asset for sums in reading.sums.values() for asset in sums} | {of_ring(key)[1] for key in flows}
    assets |= {piece.leg.asset for piece in pieces}
    amounts = {asset: {"total": _ONE} for asset in assets | reading.prices.keys()}
    return Snapshot(observed_at=reading.at, amounts=amounts)


def _count(
    known: Mapping[str, Flow],
    events: tuple[Event, ...],
    watch: RuleWatch,
    rule: RuleBase,
    spec: FlowSpec,
    now: datetime,
) -> Mapping[str, Flow]:
    """The rings with these movements in them; those that hold nothing any more are dropped."""
    by, by_ring = rule.summed_by, dict[str, list[Event]]()
    for event in events:
        member = watch.members.whose(event.account)
        if member is not None and not event.imported and spec.counts(event) and rule.watches(event.asset):
            ring = ring_name(subject_of_account(by, member, event.asset), event.asset)
            by_ring.setdefault(spec.key(ring), []).append(spec.as_counted(event))
    oldest = micros(now) // flow(spec.within).width - BUCKETS - _SPARE
    suffix = spec.key("")
    kept = {key: ring for key, ring in known.items() if key.endswith(suffix) and max(ring.sums, default=-1) >= oldest}
    new = {key: _moved_on(known.get(key, flow(spec.within)), moved, spec, now) for key, moved in by_ring.items()}
    return {**kept, **new} if new or len(kept) < len(known) else known


def _moved_on(ring: Flow, moved: list[Event], spec: FlowSpec, now: datetime) -> Flow:
    """A ring with these movements in it, and without those that were taken back."""
    ring = record_flow(ring, (event for event in moved if not event.reverted), now, _SPARE)
    return undo_flow(ring, (event for event in moved if event.reverted), spec.within, now)
