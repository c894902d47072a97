"""Transfers between accounts, as a rule with `net_internal` remembers them. Pure."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from monitor.model.asset import bare
from monitor.model.event import MONEY_KINDS, Event
from monitor.model.record import Record
from monitor.model.settlement import Settled, Terms, settle
from monitor.model.transfers import Leg
from monitor.model.window import MICROSECOND, micros
from monitor.rules.base import RuleBase
from monitor.rules.facts import FlowSpec

#: How much later than they occur movements are recorded, at most, where nothing is out of order: so long they are
#: kept for rules that read them one after the other.
LATENESS = timedelta(hours=1)
#: For how long the other end of a transfer may be found, by whichever rule.
ENDS_KEPT = timedelta(days=1)


def settled(
    record: Record, events: Iterable[Event], rule: RuleBase, spec: FlowSpec, now: datetime, *, begins: bool
) -> Settled:
    """What the remembered movements and these come to by now; where the rule `begins` these are history."""
    assert spec.settle is not None, "asked only where transfers settle"
    terms = Terms(spec.settle // MICROSECOND, spec.within // MICROSECOND, ENDS_KEPT // MICROSECOND)
    # The last word on each.
    last = {(event.account, event.id): event for event in events}.values()
    gone = {(event.account, event.id) for event in last if event.reverted}
    known = tuple(leg for leg in record.transfers.get(spec.suffix, ()) if not gone or leg.key not in gone)
    legs, at = _legs(last, rule, spec), micros(now)
    return settle(known, legs if begins else (_found(leg, terms, at) for leg in legs), terms, at)


def _found(leg: Leg, terms: Terms, now: int) -> Leg:
    return leg._replace(found=now) if leg.at + terms.settle <= now else leg


def _legs(events: Iterable[Event], rule: RuleBase, spec: FlowSpec) -> Iterator[Leg]:
    """The movements that may be one end of a transfer, on any network of an asset that the rule is about."""
    wanted = {bare(asset) for asset in rule.assets}
    for event in events:
        if event.direction is None or not event.amount:
            continue
        if event.reverted or event.imported:
            continue
        if not (spec.counts(event) or event.kind in MONEY_KINDS):
            continue
        if not wanted or bare(event.asset) in wanted:
            yield Leg(
                micros(event.occurred_at),
                event.account,
                event.id,
                event.asset,
                event.kind,
                event.direction,
                event.amount,
                event.reference or "",
                _unexpected(event, spec),
                since=micros(event.since) if event.since else 0,
            )


def _unexpected(event: Event, spec: FlowSpec) -> Decimal | None:
    return event.unexpected if spec.excess and event.expected else None
