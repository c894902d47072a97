"""The rolling sums that the rules of an account read, counted on with each poll. Pure.

Only what moved has a ring: for all other assets, one line per rule says since when nothing was counted.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from monitor.engine.movements import Moved
from monitor.model.event import Correction, Event
from monitor.model.record import Answer, Need, Reading, Record, Roundup
from monitor.model.snapshot import Change, Snapshot
from monitor.model.window import Coverage, Flow, begun, micros, record_flow, record_opening, undo_flow
from monitor.rules.base import RuleBase
from monitor.rules.facts import FlowSpec
from monitor.rules.lateness import in_time


class Counted(NamedTuple):
    """All rings there are, and what is known of the assets that have none (by `FlowSpec.scope`)."""

    flows: Mapping[str, Flow]
    coverage: Mapping[str, Coverage]


class _Poll(NamedTuple):
    """What one poll brings to every ring."""

    record: Record
    snapshot: Snapshot
    events: tuple[Event, ...]
    undone: tuple[Event, ...]
    touched: frozenset[str]
    stored: Mapping[str, list[Event]]
    now: datetime

    def spare(self, ring: Flow) -> int:
        """The buckets of a window that ended since the last reading: what is new of another asset may belong to it."""
        last = self.record.snapshot.observed_at if self.record.snapshot else self.now
        return min(max(0, (micros(self.now) - micros(last)) // ring.width + 1), ring.buckets)

    def total(self, asset: str) -> Decimal | None:
        return self.snapshot.of(asset, "total")

    def total_before(self, asset: str) -> Decimal | None:
        return self.record.snapshot.of(asset, "total") if self.record.snapshot else None


def longest(rules: tuple[RuleBase, ...], record: Record, now: datetime) -> Need:
    """The events of the longest window, so that one loading answers every rule; none of another provider's."""
    # With the bucket that straddles the window's start: a ring knows the total when that one began.
    since = now - max(spec.within + spec.within / spec.buckets for rule in rules if (spec := rule.flow()))
    return Need(since=max(since, record.began_at or since))


def reaching(need: Need, reading: Reading, rules: tuple[RuleBase, ...], record: Record, now: datetime) -> Need:
    """The same and what the windows held that new movements belong to: one loading answers every rule."""
    new = in_time(reading.events or (), now) if isinstance(reading, Answer | Roundup) else ()
    windows = [spec.within for rule in rules if (spec := rule.flow())]
    if not new or not windows:
        return need
    since = min(event.occurred_at for event in new) - max(windows)
    return Need(since=min(need.since, max(since, record.began_at or since)))


def back_to(corrections: Iterable[Correction], rules: tuple[RuleBase, ...], record: Record, now: datetime) -> Need:
    """The stored events that corrections speak of, and those of the longest window too."""
    since = min(correction.at for correction in corrections)
    if any(rule.flow() for rule in rules):
        since = min(since, longest(rules, record, now).since)
    return Need(since=since)


def count(
    record: Record,
    snapshot: Snapshot,
    moved: Moved,
    changes: Iterable[Change],
    rules: tuple[RuleBase, ...],
    now: datetime,
) -> Counted | Need:
    """The rings knowing this poll's events and corrections; Need when there are some to rebuild from the stored events.

    What did not change is the very object that the record holds.
    """
    read = [(rule, spec, spec.scope(rule.assets)) for rule in rules if (spec := rule.flow())]
    if not read and not record.flows and not record.coverage:
        return Counted(record.flows, record.coverage)
    coverage: dict[str, Coverage] = {}
    recorded = moved.recorded
    for _, _, scope in read:
        cover = record.coverage.get(scope)
        if recorded is None and record.version and (cover is None or not cover.whole):
            return longest(rules, record, now)
        coverage[scope] = _covered(cover, recorded, now)
    events = (*moved.events, *moved.regained) if moved.corrected else moved.events
    assets = (event.asset for event in (*events, *moved.undone))
    touched = frozenset([*assets, *(c.asset for c in changes if c.measure == "total")])
    poll = _Poll(record, snapshot, events, moved.undone, touched, _by_asset(recorded or ()), now)
    rings: dict[str, Flow | None] = {}
    for rule, spec, scope in read:
        known = record.coverage.get(scope)
        for asset in _assets(poll, known):
            key = asset + spec.suffix
            if key not in rings and rule.watches(asset):
                rings[key] = _ring(poll, record.flows.get(key), asset, spec, known, coverage[scope])
    same = record.coverage == coverage
    return Counted(_merged(record.flows, rings, rules), record.coverage if same else coverage)


def _covered(cover: Coverage | None, recorded: tuple[Event, ...] | None, now: datetime) -> Coverage:
    """Since when the rings of a rule know everything: a new rule's since the oldest event that is stored."""
    if cover is not None:
        return cover if cover.whole else cover._replace(whole=True)
    return Coverage(micros(min((event.occurred_at for event in recorded or ()), default=now)))


def _assets(poll: _Poll, known: Coverage | None) -> Iterable[str]:
    if known is not None and known.whole:
        return poll.snapshot.amounts.keys() | poll.touched
    return {*poll.snapshot.amounts, *poll.touched, *poll.stored}


def _by_asset(events: Iterable[Event]) -> Mapping[str, list[Event]]:
    found: dict[str, list[Event]] = {}
    for event in events:
        found.setdefault(event.asset, []).append(event)
    return found


def _ring(
    poll: _Poll, ring: Flow | None, asset: str, spec: FlowSpec, known: Coverage | None, cover: Coverage
) -> Flow | None:
    """One asset's ring after this poll; None when there is nothing in it to be remembered."""
    now, before = poll.now, poll.total_before(asset)
    if ring is None:
        new = spec.dated and known is not None and before is None and not _was_known(poll, asset)
        if known is not None and known.whole and asset not in poll.touched and not new:
            return None
        ring = _begun(poll, asset, spec, known, since=micros(now) if new else 0)
    ring = record_flow(ring, spec.counted(asset, poll.events), now, poll.spare(ring))
    if poll.undone:
        ring = undo_flow(ring, spec.counted(asset, poll.undone), spec.within, now)
    total = poll.total(asset)
    if spec.totals and total is not None:
        ring = record_opening(ring, total, now)
    young = ring.since > max(cover.since, micros(now - spec.within))
    moved = spec.totals and len(ring.opening) > 1
    return ring if ring.sums or young or moved else None


def _was_known(poll: _Poll, asset: str) -> bool:
    before = poll.record.snapshot
    return before is not None and asset in before.amounts


def _begun(poll: _Poll, asset: str, spec: FlowSpec, known: Coverage | None, since: int) -> Flow:
    """A ring that was not there: empty while nothing moved, else what the stored events make of it."""
    stored = poll.stored.get(asset, ()) if known is None or not known.whole else ()
    base = poll.total_before(asset) if spec.totals else None
    ring = begun(spec.within, base, stored, poll.now, buckets=spec.buckets, since=since)
    return record_flow(ring, spec.counted(asset, stored), poll.now)


def _merged(
    before: Mapping[str, Flow], rings: Mapping[str, Flow | None], rules: tuple[RuleBase, ...]
) -> Mapping[str, Flow]:
    """The rings of this poll, and those of assets that this answer did not name, as they were.

    One that no rule reads is dropped: it would miss what happens until a rule wants it again.
    """
    if all(before.get(key) is ring for key, ring in rings.items()) and all(
        key in rings or _wanted(key, rules) for key in before
    ):
        return before
    kept = {key: ring for key, ring in before.items() if key not in rings and _wanted(key, rules)}
    return kept | {key: ring for key, ring in rings.items() if ring is not None}


def _wanted(key: str, rules: tuple[RuleBase, ...]) -> bool:
    asset = key.partition("|")[0]
    return any((spec := rule.flow()) and rule.watches(asset) and spec.key(asset) == key for rule in rules)
