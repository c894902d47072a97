"""What `large_outflow` and `large_inflow` share: money moving one way, over a window or in one movement."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from monitor.fields import Duration, Threshold, ThresholdField
from monitor.model.alert import EventVerdict, Severity, Verdict
from monitor.model.asset import bare
from monitor.model.event import Direction, Event
from monitor.model.money import ZERO, subtract, text
from monitor.model.record import Entry, Need
from monitor.model.window import Bounds, Flow, exact_flow, flow_bounds, gross_flow, micros, opening_total
from monitor.rules.aggregate import Aggregate, check_aggregate, unit_of
from monitor.rules.base import RuleBase
from monitor.rules.facts import Facts, FlowSpec, Judgement, Overview, Sighting
from monitor.rules.flow_sums import judge_sums
from monitor.rules.flow_words import said_of_calm, said_of_flow
from monitor.rules.lateness import ago, all_moves, new_moves, peak, reach_back
from monitor.rules.levels import FlowLevels, amounts_of, check_moves, check_window, check_written_once, rungs_above
from monitor.rules.mistakes import mistake
from monitor.rules.templates import USD
from monitor.rules.transit import BY_ACCOUNT, check_settling
from monitor.rules.yardstick import Levels, Yardstick, shares, totals_before

_NOTHING_MOVED = Bounds(ZERO, ZERO)


class FlowRule(RuleBase):
    """With `within`: the sum over the window is above a threshold, per asset. Without: one movement is.

    A missing price, or a percentage of an unknown total, gives no verdict. An asset that the answer did not
    name is judged only when something moved, and then only to say bad: nothing can be said to be over. Nor can it
    while events may be missing, and what is net of the other way cannot be told at all then.
    """

    worse: ClassVar[Literal["higher"]] = "higher"
    #: Which way money goes.
    direction: ClassVar[Direction]
    opposite: ClassVar[Direction]
    #: Whether only what goes beyond expected transfers is judged.
    excess: ClassVar[bool] = False

    above: ThresholdField | None = Field(default=None, description="an amount, or a percentage of `total`")
    levels: FlowLevels = Field(default=None, description="severity → {above}")
    unit: Literal["asset", "usd", "percent"] | None = Field(default=None, description="default: asset")
    within: Duration | None = Field(default=None, description="sum over this window; default: each movement")
    net: bool = Field(default=False, description="subtract what went the other way meanwhile")
    kinds: tuple[str, ...] | None = Field(default=None, min_length=1, description="default: money movements")
    aggregate: Aggregate | None = Field(default=None, description="compare sums: {by: [labels], unit}")
    net_internal: bool = Field(
        default=False, description="transfers between configured accounts do not count, but for their fee"
    )
    settle_within: Duration = Field(
        default=timedelta(minutes=10),
        description="with `net_internal`: how long a transfer may take; one that has not arrived by then counts",
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        check_written_once(self, "above")
        check_moves(self._rungs, self.unit, "what moved is never negative, and the threshold cannot be")
        percent = self._rungs[0][1].percent
        if self.within is None and self.net:
            raise ValueError("`net` needs a window: add `within`")
        if self.within is not None:
            check_window(self.within)
        if self.aggregate is not None and self.within is None:
            raise mistake("one movement alone is no sum: add `within`", "aggregate")
        if self.aggregate is not None and percent:
            raise mistake("a share of a sum has no fixed whole: write an amount", "above")
        if self.net_internal and percent:
            raise mistake("with `net_internal` a share has no fixed whole: write an amount", "above")
        check_aggregate(self)
        check_settling(self)
        return self

    @property
    def spans(self) -> bool:
        return self.net_internal or (self.aggregate is not None and self.aggregate.crosses)

    @property
    def summed_by(self) -> tuple[str, ...]:
        if self.aggregate is None:
            return BY_ACCOUNT if self.net_internal else ()
        return self.aggregate.by

    @property
    def steady(self) -> bool:
        # What did not move is worth nothing at any price.
        return True

    def about(self) -> Literal["asset", "account", "event"]:
        if self.within is None:
            return "event"
        return "asset" if self.aggregate is None or "asset" in self.aggregate.by else "account"

    def flow(self) -> FlowSpec | None:
        return self._spec

    def measures(self) -> tuple[str, ...]:
        return ("total",) if self._percent else ()

    def event_kinds(self) -> tuple[str, ...]:
        return self.kinds or ()

    def judge(self, facts: Facts) -> Iterator[Judgement]:
        if self.net and isinstance(facts, Sighting) and facts.gap:
            return
        if self.net_internal and not isinstance(facts, Overview):
            # One account alone tells nothing of where its money went.
            return
        if (self.aggregate is not None or self.net_internal) and isinstance(facts, Sighting | Overview):
            assert self._spec is not None, "sums are over a window"
            yield from judge_sums(self, facts, self._spec, self._amounts, unit_of(self) or "asset")
            return
        if not isinstance(facts, Sighting):
            return
        if self._spec is None:
            yield from self._movements(facts)
        else:
            yield from self._windows(facts, self._spec)

    def _windows(self, facts: Sighting, spec: FlowSpec) -> Iterator[Verdict | Need]:
        named = facts.snapshot.amounts
        moved = {event.asset: None for event in facts.events if event.asset not in named}
        new = new_moves(facts.events, self.direction, spec, facts.now) if facts.events else {}
        moves: Mapping[str, list[Event]] | None = None
        for asset in (*named, *moved):
            if not self.watches(asset):
                continue
            ring = facts.flows.get(spec.key(asset))
            bounds = self.bounds(ring, spec, facts.now)
            yardstick = self._yardstick(facts, asset, self._opening(ring, spec, facts, asset))
            if yardstick is None and self.in_usd and bounds == _NOTHING_MOVED:
                # Nothing is worth nothing at any price.
                yardstick = self._plain_yardstick
            if yardstick is None:
                continue
            over = asset in new and self._may_be_over(facts, spec, ring, new[asset], yardstick, bounds)
            if over or yardstick.undecided(bounds):
                if facts.recorded is None:
                    yield Need(since=facts.now - spec.within)
                    return
                moves = moves or all_moves(facts, spec)
                bounds = bounds.narrowed(self.exactly(moves.get(asset, ()), spec, facts.now))
                if over and (past := self._past(facts, asset, spec, moves[asset], new[asset], yardstick, bounds)):
                    yield past
                    continue
            told = asset in named and asset in facts.alerting and not facts.gap
            if told or yardstick.exceeded(bounds.low):
                verdict = self._verdict(asset, bounds, yardstick, self._expected(facts, asset, spec))
                # The events still missing may make it as bad as it was.
                yield verdict._replace(held=yardstick.levels[0][0]) if facts.gap else verdict

    def _may_be_over(
        self, facts: Sighting, spec: FlowSpec, ring: Flow | None, new: list[Event], yardstick: Yardstick, bounds: Bounds
    ) -> bool:
        """Whether a window that these new movements belong to may be over, and have been worse than the present one."""
        over = reach_back(new, facts, spec.within, net=self.net)
        if over or self.net:
            return over
        whole = ZERO if ring is None else gross_flow(ring, self.direction)
        return yardstick.exceeded(whole) != yardstick.exceeded(bounds.low)

    def _past(
        self,
        facts: Sighting,
        asset: str,
        spec: FlowSpec,
        moves: list[Event],
        new: list[Event],
        yardstick: Yardstick,
        bounds: Bounds,
    ) -> Verdict | None:
        """The verdict on a window that is over, and was worse than the present one, by what is new of it."""
        top = peak(moves, new, self.way, spec.within)
        if top is None or top.amount <= bounds.low or not yardstick.exceeded(top.amount):
            return None
        verdict = self._verdict(asset, Bounds(top.amount, top.amount), yardstick, "")
        return verdict._replace(details={**verdict.details, "ago": ago(top.at, facts.now)})

    def way(self, event: Event) -> Decimal:
        """What a movement adds to what went this rule's way; it takes from that when it went the other way."""
        if event.direction == self.direction:
            return event.amount
        return event.amount.copy_negate() if self.net and event.direction is not None else ZERO

    def bounds(self, ring: Flow | None, spec: FlowSpec, now: datetime) -> Bounds:
        """What went over the window, as far as a ring tells."""
        if ring is None:
            return _NOTHING_MOVED
        one_way = flow_bounds(ring, self.direction, spec.within, now)
        if not self.net:
            return one_way
        other = flow_bounds(ring, self.opposite, spec.within, now)
        return Bounds(subtract(one_way.low, other.high), subtract(one_way.high, other.low))

    def exactly(self, events: Iterable[Event], spec: FlowSpec, now: datetime) -> Decimal:
        """What went over the window, from the movements themselves."""
        events = tuple(spec.as_counted(event) for event in events if not event.reverted)
        one_way = exact_flow(events, self.direction, spec.within, now)
        if not self.net:
            return one_way
        return subtract(one_way, exact_flow(events, self.opposite, spec.within, now))

    def _expected(self, facts: Sighting, asset: str, spec: FlowSpec) -> str:
        """The expected transfers that took something out of the window, by name."""
        if not self.excess or not facts.budgets:
            return ""
        start = micros(facts.now - spec.within)
        windows = ((name, used) for name, each in facts.budgets.items() for used in each.values())
        return ", ".join(dict.fromkeys(name for name, used in windows if used.asset == asset and used.at > start))

    def _verdict(self, asset: str, bounds: Bounds, yardstick: Yardstick, expected: str) -> Verdict:
        low, high = yardstick.worth(bounds.low), yardstick.worth(bounds.high)
        exceeded = yardstick.exceeded(bounds.low)
        level = None if exceeded is None else exceeded[0]
        details = {} if low == high else {"at_least": text(low), "at_most": text(high)}
        if yardstick.base is not None:
            details["of"] = text(yardstick.base)
        if expected:
            details["expected"] = expected
        value, thresholds = (high if level is None else low), dict(yardstick.levels)
        return Verdict(asset, level, level, value, None, thresholds, None, self._unit_of(asset), details)

    def _movements(self, facts: Sighting) -> Iterator[EventVerdict]:
        befores, spec = totals_before(facts) if self._percent else {}, FlowSpec(timedelta(0), self.kinds)
        for event in facts.events:
            if event.direction != self.direction or not spec.counts(event) or not self.watches(event.asset):
                continue
            yardstick = self._yardstick(facts, event.asset, befores.get(event.id))
            amount = event.unexpected if self.excess else event.amount
            exceeded = yardstick and yardstick.exceeded(amount)
            if not yardstick or not exceeded:
                continue
            severity, threshold = exceeded
            worth = yardstick.worth(amount)
            yield EventVerdict(event, severity, worth, threshold, unit=self._unit_of(event.asset))

    def _yardstick(self, facts: Sighting, asset: str, base: Decimal | None) -> Yardstick | None:
        """What amounts of this asset are held against; None when a price or a total is missing."""
        if self._percent:
            return None if base is None else Yardstick(shares(self._amounts, base), base=base)
        if self.unit != "usd":
            return self._plain_yardstick
        price = facts.prices.get(asset)
        return None if price is None else Yardstick(self._amounts, price=price)

    def _opening(self, ring: Flow | None, spec: FlowSpec, facts: Sighting, asset: str) -> Decimal | None:
        if not self._percent:
            return None
        if ring is None:
            # Without a ring nothing has changed: the total was what it is.
            now = facts.snapshot.of(asset, "total")
            return now if now is not None or facts.previous is None else facts.previous.of(asset, "total")
        return opening_total(ring, spec.within, facts.now)

    def _unit_of(self, asset: str) -> str:
        return USD if self.unit == "usd" else bare(asset)

    @cached_property
    def _spec(self) -> FlowSpec | None:
        if self.within is None:
            return None
        settle = self.settle_within if self.net_internal else None
        return FlowSpec(self.within, self.kinds, totals=self._percent, excess=self.excess, settle=settle)

    @cached_property
    def _plain_yardstick(self) -> Yardstick:
        return Yardstick(self._amounts)

    @cached_property
    def _rungs(self) -> list[tuple[Severity, Threshold]]:
        return rungs_above(self.severity, self.above, self.levels)

    @cached_property
    def _amounts(self) -> Levels:
        return amounts_of(self._rungs)

    @cached_property
    def _percent(self) -> bool:
        return self.unit == "percent" or self._rungs[0][1].percent

    def breached(self, entry: Entry, details: Mapping[str, str]) -> str:
        share = str(dict(self._rungs).get(entry.severity, self._rungs[0][1]))
        return said_of_flow(entry, details, self.direction, self.within, share, excess=self.excess, net=self.net)

    def recovered(self, entry: Entry) -> str:
        return said_of_calm(entry, self.summed_by, self.direction, self.within, net=self.net)
