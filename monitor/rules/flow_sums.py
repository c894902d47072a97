"""`aggregate` for rules on flows: movements of several assets, or of several accounts, added up."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from monitor.model.alert import Severity, Verdict
from monitor.model.event import Event
from monitor.model.money import ZERO, add, text
from monitor.model.record import Need, RuleWatch
from monitor.model.sums import ANYTHING, NOT_BELOW_ZERO, NOTHING, Interval, plus, total_of, worth
from monitor.model.window import Bounds, Flow
from monitor.rules.aggregate import (
    Rating,
    known_end,
    labels_of_subject,
    of_ring,
    rate_interval,
    subject_of_account,
    title,
)
from monitor.rules.facts import FlowSpec, Overview, Sighting
from monitor.rules.templates import USD
from monitor.rules.transit import Netting, netted, tell_transfers
from monitor.rules.unseen import unseen_of

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


def judge_sums(
    rule: Flowing, facts: Sighting | Overview, spec: FlowSpec, levels: tuple[tuple[Severity, Decimal], ...], unit: str
) -> Iterator[Verdict | Need]:
    """Verdicts on what moved in all; Need when a threshold lies within the bounds of a ring."""
    rate, worst = _rater(levels), levels[0][0]
    rings, vague = _own(rule, facts, spec) if isinstance(facts, Sighting) else _together(rule, facts, spec)
    prices = facts.prices if unit == "usd" else None
    for subject, moved in sorted(rings.items()):
        # What is net of the other way may be less, too.
        hidden = (ANYTHING if rule.net else NOT_BELOW_ZERO) if subject in vague else NOTHING
        whole = plus(_add_up(moved, prices), hidden)
        bad, held, decided = rate_interval(whole, rate, worst, low=False)
        if spec.settle is None and not decided and not all(bounds.exact for bounds in moved.values()):
            if facts.recorded is None:
                yield Need(since=facts.now - spec.within)
                return
            exact = _exact(rule, facts, spec, subject, moved)
            whole = plus(_add_up(exact, prices), hidden)
            bad, held, decided = rate_interval(whole, rate, worst, low=False)
        if bad or subject in facts.alerting:
            labels = labels_of_subject(rule.summed_by, subject) if rule.spans else {}
            details = _describe(moved, whole, prices)
            if rule.spans and "account" not in labels:
                details["sum"] = title(labels)
            if isinstance(facts, Overview) and facts.pieces:
                details |= tell_transfers(rule, facts, spec, subject)
            said = USD if unit == "usd" else (labels.get("asset") or next(iter(moved), "")).partition("@")[0]
            yield Verdict(
                subject, bad, held, known_end(whole), None, dict(levels), None, said, details,
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


def _exact(rule: Flowing, facts: Sighting | Overview, spec: FlowSpec, subject: str, moved: Moved) -> dict[str, Bounds]:
    """The same from the movements themselves: the stored ones and this reading's, each once."""
    new = facts.events if isinstance(facts, Sighting) else facts.reading.events
    moves = (event for event in (*(facts.recorded or ()), *new) if spec.counts(event))
    events = {(event.account, event.id): event for event in moves if _is_of(rule, facts, event, subject)}.values()
    sums = {asset: rule.exactly((e for e in events if e.asset == asset), spec, facts.now) for asset in moved}
    # Where fewer movements are kept than were counted, what was counted is what is known.
    fits = {asset: moved[asset].low <= amount <= moved[asset].high for asset, amount in sums.items()}
    return {asset: Bounds(amount, amount) if fits[asset] else moved[asset] for asset, amount in sums.items()}


def _is_of(rule: Flowing, facts: Sighting | Overview, event: Event, subject: str) -> bool:
    if isinstance(facts, Sighting):
        return True
    watch = facts.account.target
    assert isinstance(watch, RuleWatch)
    member = watch.members.get(event.account)
    return member is not None and subject_of_account(rule.summed_by, member, event.asset) == subject


def _add_up(moved: Moved, prices: Mapping[str, Decimal] | None) -> Interval:
    parts = (Interval(bounds.low, bounds.high) for bounds in moved.values())
    if prices is not None:
        parts = (worth(part, prices.get(asset)) for asset, part in zip(moved, parts, strict=True))
    return total_of(parts)


def _rater(levels: tuple[tuple[Severity, Decimal], ...]) -> Callable[[Decimal], Rating]:
    def rate(amount: Decimal) -> Rating:
        level = next((severity for severity, threshold in levels if amount > threshold), None)
        return level, level

    return rate


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
