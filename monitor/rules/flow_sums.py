"""`aggregate` for rules on flows: movements of several assets, or of several accounts, added up."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple, Protocol

from monitor.model.alert import Severity, Verdict
from monitor.model.asset import bare
from monitor.model.event import Event
from monitor.model.money import RATIO, ZERO, add, text, total
from monitor.model.record import Need, RuleWatch
from monitor.model.sums import ANYTHING, NOT_BELOW_ZERO, NOTHING, Interval, plus, total_of, worth
from monitor.model.window import Bounds, Flow, gross_flow
from monitor.rules.aggregate import (
    Rated,
    Rating,
    known_end,
    labels_of_subject,
    of_ring,
    rate_interval,
    ring_name,
    subject_of_account,
    title,
)
from monitor.rules.facts import FlowSpec, Overview, Sighting
from monitor.rules.lateness import ago, new_moves, peak, reach_back
from monitor.rules.templates import USD
from monitor.rules.transit import Netting, counting, found_late, netted, tell_transfers
from monitor.rules.unseen import unseen_of

#: Subject → asset → movements.
_Moves = dict[str, dict[str, list[Event]]]
#: Asset → what moved.
Moved = Mapping[str, Bounds]
_ASSETS_MAX = 10


class Flowing(Netting, Protocol):
    """What this page needs of a rule."""

    @property
    def spans(self) -> bool: ...

    @property
    def net(self) -> bool: ...

    def bounds(self, ring: Flow | None, spec: FlowSpec, now: datetime) -> Bounds: ...

    def way(self, event: Event) -> Decimal: ...


class _Known(NamedTuple):
    """What went: by asset, in all, and how that is rated. `ended` is when, where it is of a window that is over."""

    moved: Moved
    whole: Interval
    rated: Rated
    ended: datetime | None = None


def judge_sums(
    rule: Flowing, facts: Sighting | Overview, spec: FlowSpec, levels: tuple[tuple[Severity, Decimal], ...], unit: str
) -> Iterator[Verdict | Need]:
    """Verdicts on what moved in all; Need when only the movements themselves can tell."""
    yield from _Judging(rule, facts, spec, levels, unit).verdicts()


@dataclass(slots=True)
class _Judging:
    """The sums of one reading while they are judged."""

    rule: Flowing
    facts: Sighting | Overview
    spec: FlowSpec
    levels: tuple[tuple[Severity, Decimal], ...]
    unit: str

    def verdicts(self) -> Iterator[Verdict | Need]:
        """As `judge_sums` says."""
        rule, facts, spec = self.rule, self.facts, self.spec
        rings, vague = _own(rule, facts, spec) if isinstance(facts, Sighting) else _together(rule, facts, spec)
        new, movements = _new(rule, facts, spec), _Moves()
        rings |= {subject: {} for subject in new.keys() - rings.keys()}
        for subject, moved in sorted(rings.items()):
            # What is net of the other way may be less, too.
            hidden = (ANYTHING if rule.net else NOT_BELOW_ZERO) if subject in vague else NOTHING
            known = self._rated(moved, hidden)
            over = subject in new and (spec.settle is not None or self._may_be_over(subject, known, new[subject]))
            vaguely = spec.settle is None and not known.rated.decided and not all(each.exact for each in moved.values())
            if over or vaguely:
                if spec.settle is None and facts.recorded is None:
                    yield Need(since=facts.now - spec.within)
                    return
                movements = movements or _moves(rule, facts, spec)
                moves = movements.get(subject, {})
                if spec.settle is None:
                    known = self._rated(_exact(rule, facts, spec, moves, moved), hidden)
                known = (self._past(moves, new[subject], known) if over else None) or known
            if known.rated.bad or subject in facts.alerting:
                yield self._verdict(subject, known)

    @property
    def _prices(self) -> Mapping[str, Decimal] | None:
        return self.facts.prices if self.unit == "usd" else None

    def _level(self, amount: Decimal) -> Rating:
        level = next((severity for severity, threshold in self.levels if amount > threshold), None)
        return level, level

    def _rated(self, moved: Moved, hidden: Interval, ended: datetime | None = None) -> _Known:
        whole = plus(_add_up(moved, self._prices), hidden)
        return _Known(moved, whole, rate_interval(whole, self._level, self.levels[0][0], low=False), ended)

    def _may_be_over(self, subject: str, known: _Known, new: Sequence[Event]) -> bool:
        """Whether a window that these new movements belong to may be over, and have been worse than the present one."""
        over = reach_back(new, self.facts, self.spec.within, net=self.rule.net)
        if over or self.rule.net:
            return over
        gross = {asset: _gross(self.rule, self.facts, self.spec, subject, asset) for asset in known.moved}
        return self._rated(gross, NOTHING).rated.bad != known.rated.bad

    def _past(self, moves: Mapping[str, Sequence[Event]], new: Sequence[Event], now: _Known) -> _Known | None:
        """What went in a window that is over, if that was worse than the present one."""
        prices, within = self._prices, self.spec.within

        def way(event: Event) -> Decimal:
            amount = self.rule.way(event)
            return amount if prices is None else RATIO.multiply(amount, prices.get(event.asset, ZERO))

        top = peak((event for each in moves.values() for event in each), new, way, within)
        if top is None:
            return None
        sums = {
            asset: total(self.rule.way(one) for one in each if top.at - within < one.occurred_at <= top.at)
            for asset, each in moves.items()
        }
        past = self._rated({asset: Bounds(amount, amount) for asset, amount in sums.items()}, NOTHING, top.at)
        worse = now.whole.low is None or (past.whole.low is not None and past.whole.low > now.whole.low)
        return past if past.rated.bad and worse else None

    def _verdict(self, subject: str, known: _Known) -> Verdict:
        rule, facts, (bad, held, decided) = self.rule, self.facts, known.rated
        labels = labels_of_subject(rule.summed_by, subject) if rule.spans else {}
        details = _describe(known.moved, known.whole, self._prices)
        if known.ended is not None:
            # What did not arrive counts when it should have.
            details["ago"] = ago(known.ended - (self.spec.settle or timedelta(0)), facts.now)
        if rule.spans and "account" not in labels:
            details["sum"] = title(labels)
        if isinstance(facts, Overview) and facts.pieces:
            details |= tell_transfers(rule, facts, self.spec, subject)
        unit = USD if self.unit == "usd" else bare(labels.get("asset") or next(iter(known.moved), ""))
        return Verdict(
            subject, bad, held, known_end(known.whole), None, dict(self.levels), None, unit, details,
            "ok" if decided else "unknown", labels,
        )  # fmt: skip


def _own(rule: Flowing, facts: Sighting, spec: FlowSpec) -> tuple[dict[str, dict[str, Bounds]], set[str]]:
    """One account's movements; what its answer did not name may have moved unseen, with a gap anything."""
    known = facts.previous.amounts if facts.previous else {}
    assets = {*facts.snapshot.amounts, *known, *(event.asset for event in facts.events)}
    found: dict[str, dict[str, Bounds]] = {}
    vague: set[str] = set()
    for asset in sorted(filter(rule.watches, assets)):
        subject = asset if "asset" in rule.summed_by else ""
        found.setdefault(subject, {})[asset] = rule.bounds(facts.flows.get(spec.key(asset)), spec, facts.now)
        if facts.gap or asset not in facts.snapshot.amounts:
            vague.add(subject)
    return found, vague


def _together(rule: Flowing, facts: Overview, spec: FlowSpec) -> tuple[dict[str, dict[str, Bounds]], set[str]]:
    """Movements over accounts; what moved at a member that cannot be read is not known."""
    found: dict[str, dict[str, Bounds]] = {}
    suffix = spec.key("")
    for key, ring in facts.flows.items():
        if key.endswith(suffix):
            subject, asset = of_ring(key)
            found.setdefault(subject, {})[asset] = rule.bounds(ring, spec, facts.now)
    for subject, assets in netted(rule, facts, spec).items() if facts.pieces else ():
        moved = found.setdefault(subject, {})
        for asset, amount in assets.items():
            low, high = moved.get(asset, Bounds(ZERO, ZERO))
            moved[asset] = Bounds(add(low, amount), add(high, amount))
    # What has an alert and moves no more is over.
    for subject in facts.alerting:
        found.setdefault(subject, {})
    unknown, by = facts.reading.unknown, rule.summed_by
    vague = {
        subject
        for subject, moved in found.items()
        if facts.reading.cut or unseen_of(unknown, labels_of_subject(by, subject), _named(by, subject, moved))
    }
    return found, vague


def _named(by: Sequence[str], subject: str, moved: Moved) -> Iterable[str]:
    """The assets that a sum is about, whether they moved or not."""
    asset = labels_of_subject(by, subject).get("asset")
    return moved if asset is None else (asset,)


def _new(rule: Flowing, facts: Sighting | Overview, spec: FlowSpec) -> dict[str, list[Event]]:
    """Subject → the new movements whose windows are to be judged."""
    if isinstance(facts, Overview) and spec.settle is not None:
        return found_late(rule, facts, spec)
    found: dict[str, list[Event]] = {}
    for asset, events in new_moves(facts.events, rule.direction, spec, facts.now).items():
        for event in events if rule.watches(asset) else ():
            if (subject := _subject_of(rule, facts, event)) is not None:
                found.setdefault(subject, []).append(event)
    return found


def _gross(rule: Flowing, facts: Sighting | Overview, spec: FlowSpec, subject: str, asset: str) -> Bounds:
    """All that the ring of an asset holds."""
    ring = facts.flows.get(spec.key(asset if isinstance(facts, Sighting) else ring_name(subject, asset)))
    amount = ZERO if ring is None else gross_flow(ring, rule.direction)
    return Bounds(amount, amount)


def _moves(rule: Flowing, facts: Sighting | Overview, spec: FlowSpec) -> _Moves:
    """The stored movements and this reading's, each once, each with what counts of it."""
    if isinstance(facts, Overview) and spec.settle is not None:
        return counting(rule, facts, spec)
    new = facts.events if isinstance(facts, Sighting) else facts.reading.events
    last = {(event.account, event.id): event for event in (*(facts.recorded or ()), *new) if spec.counts(event)}
    found = _Moves()
    for event in last.values():
        if not event.reverted and rule.watches(event.asset):
            subject = _subject_of(rule, facts, event)
            if subject is not None:
                found.setdefault(subject, {}).setdefault(event.asset, []).append(spec.as_counted(event))
    return found


def _exact(
    rule: Flowing, facts: Sighting | Overview, spec: FlowSpec, moves: Mapping[str, Iterable[Event]], moved: Moved
) -> dict[str, Bounds]:
    """What went, from the movements themselves."""
    return {
        asset: bounds.narrowed(rule.exactly(moves.get(asset, ()), spec, facts.now)) for asset, bounds in moved.items()
    }


def _subject_of(rule: Flowing, facts: Sighting | Overview, event: Event) -> str | None:
    """The sum that a movement belongs to; None for one of an account that is no member."""
    if isinstance(facts, Sighting):
        return event.asset if "asset" in rule.summed_by else ""
    watch = facts.account.target
    assert isinstance(watch, RuleWatch)
    member = watch.members.get(event.account)
    return None if member is None else subject_of_account(rule.summed_by, member, event.asset)


def _add_up(moved: Moved, prices: Mapping[str, Decimal] | None) -> Interval:
    parts = (Interval(bounds.low, bounds.high) for bounds in moved.values())
    if prices is not None:
        parts = (worth(part, prices.get(asset)) for asset, part in zip(moved, parts, strict=True))
    return total_of(parts)


def _describe(moved: Moved, whole: Interval, prices: Mapping[str, Decimal] | None) -> dict[str, str]:
    """What went, asset by asset; at most ten are named."""
    named = [(asset, bounds.low) for asset, bounds in moved.items() if bounds.high]
    priced = [(asset, low, None if prices is None else prices.get(asset)) for asset, low in named]
    priced.sort(key=lambda one: one[1] * (one[2] or 0), reverse=True)
    details: dict[str, str] = {}
    if len(priced) > 1 or prices is not None:
        rest = f" and {len(priced) - _ASSETS_MAX} more" if len(priced) > _ASSETS_MAX else ""
        details["breakdown"] = ", ".join(f"{text(low)} {asset}" for asset, low, _ in priced[:_ASSETS_MAX]) + rest
    unpriced = [asset for asset, _, price in priced if prices is not None and price is None]
    if unpriced:
        details["unpriced"] = ", ".join(unpriced[:_ASSETS_MAX])
    if not whole.exact:
        details |= {
            "at_least": "unknown" if whole.low is None else text(whole.low),
            "at_most": "unknown" if whole.high is None else text(whole.high),
        }
    return details
