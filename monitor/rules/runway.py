"""`runway`: at the speed of recent outflows an account is soon empty."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from functools import cached_property
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from monitor.fields import Amount, Duration, Section, duration_text, threshold
from monitor.model.alert import Severity, Verdict
from monitor.model.asset import bare
from monitor.model.money import RATIO, ZERO, divide, multiply, subtract, text
from monitor.model.record import Entry
from monitor.model.window import Flow, flow, micros
from monitor.rules.balance import Measure
from monitor.rules.base import RuleBase
from monitor.rules.facts import Facts, FlowSpec, Sighting
from monitor.rules.levels import Ladder, Rung, check_order, check_window, check_written_once, worst_first
from monitor.rules.sandbox import amount, duration
from monitor.rules.templates import subject

#: Speed is told by buckets of this share of `history`: enough of them for a p90, few enough to keep.
BUCKETS = 24
#: Beyond this a runway is not told any longer, and no calendar can say it.
LONGEST = timedelta(days=3650)
#: How exactly a speed, and what to send, are told.
_DIGITS = 3
_MILLION = Decimal(1_000_000)
_HOUR = Decimal(3_600)
_NO_TIME = timedelta(0)
_NOTHING = (ZERO, ZERO)


def _share(value: object) -> object:
    """A share of one; a percentage is told how to be written as such."""
    if isinstance(value, str) and value.endswith("%"):
        share = divide(threshold(value).value, Decimal(100))
        raise ValueError(f"{value!r} is a percentage, which is not possible here: write {text(share)}")
    return value


class RunwayLevel(Section):
    """`{below: 24h, resolve_above: 48h}`"""

    below: Duration = Field(gt=_NO_TIME)
    resolve_above: Duration | None = Field(default=None, description="once firing, good only above this")

    @model_validator(mode="after")
    def _band(self) -> Self:
        _check_band(self.below, self.resolve_above)
        return self


class Runway(RuleBase):
    """`{type: runway, below: 24h, history: 7d}`: it reaches zero, or `floor`, within that time.

    The speed is a quantile of what went out in each twenty-fourth of `history`; what came in is not counted, and a
    single burst is no speed. Nothing is said before `min_history` is known; without outflow it lasts for ever. What
    is down already is bad, unless nothing went out: then it was never in use.
    """

    worse: ClassVar[Literal["lower"]] = "lower"
    type: Literal["runway"]
    measure: Measure = "available"
    below: Duration | None = Field(default=None, gt=_NO_TIME, description="bad while it lasts for less")
    resolve_above: Duration | None = Field(default=None, description="once firing, good only above this")
    levels: Annotated[Mapping[Severity, RunwayLevel] | None, Field(min_length=1)] = Field(
        default=None, description="severity → {below, resolve_above}"
    )
    floor: Amount | None = Field(default=None, description="what counts as empty; default: 0")
    history: Duration = Field(default=timedelta(days=7), description="how far back outflows count")
    min_history: Duration | None = Field(
        default=None, gt=_NO_TIME, description="unknown before so much is known; default: a seventh of `history`"
    )
    quantile: Annotated[Amount, BeforeValidator(_share)] = Field(
        default=Decimal("0.9"), gt=0, le=1, description="the share of `history` in which no more went out"
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        check_written_once(self, "below", "resolve_above")
        if self.below is not None:
            _check_band(self.below, self.resolve_above)
        check_order(self._ladder, "below", "resolve_above", _span_text)
        check_window(self.history, "history")
        if self.min_history is not None and self.min_history > self.history:
            longer = f"min_history {duration_text(self.min_history)} is longer than history"
            raise ValueError(f"{longer} {duration_text(self.history)}: nothing could ever be judged")
        return self

    def measures(self) -> tuple[str, ...]:
        return (self.measure,)

    def recoveries(self) -> Mapping[Severity, Decimal]:
        return self._ladder.recoveries()

    def flow(self) -> FlowSpec:
        return self._spec

    def judge(self, facts: Facts) -> Iterator[Verdict]:
        if not isinstance(facts, Sighting):
            return
        for asset, measures in facts.snapshot.amounts.items():
            value = measures.get(self.measure)
            if value is None or not self.watches(asset):
                continue
            left, ring = subtract(value, self.floor or ZERO), facts.flows.get(asset + self._spec.suffix)
            if ring is None and asset not in facts.alerting and (left > 0 or self.floor is None):
                continue
            paces = self._outflows(facts, ring or self._empty)
            verdict = self._rated(asset, left, paces) if paces else None
            if verdict and (verdict.bad or (asset in facts.alerting and not facts.gap)):
                # The events still missing may make it as bad as it was.
                yield verdict._replace(held=self._ladder.rungs[0].severity) if facts.gap else verdict

    def _outflows(self, facts: Sighting, ring: Flow) -> list[Decimal]:
        """What went out in each whole bucket, oldest first, as far as it is known; nothing while that is too little."""
        cover, now = facts.coverage.get(self._scope), micros(facts.now)
        if cover is None:
            return []
        since = max(cover.since, ring.since)
        if now - since < self._least:
            return []
        # The bucket that `now` is in has not ended, and counts only then.
        latest, first = now // ring.width, -(-since // ring.width)
        buckets = range(max(latest - ring.buckets, first), latest)
        return [ring.sums.get(bucket, _NOTHING)[1] for bucket in buckets]

    def _rated(self, asset: str, left: Decimal, paces: list[Decimal]) -> Verdict | None:
        """None when it is down and nothing went out: a wallet that is not in use, or one that fired and stays so."""
        pace = _nearest_rank(paces, self.quantile)
        if left <= 0 and self.floor is None and not any(paces):
            return None
        lasts = self._lasts(left, pace)
        bad, held = (None, None) if lasts is None else self._rate(lasts)
        level = bad or held
        details = {} if level is None else self._details(left, pace, len(paces), level)
        shown = None if lasts is None else lasts.to_integral_value("ROUND_FLOOR")
        return Verdict(asset, bad, held, shown, None, self._thresholds, self.measure, "s", details)

    def _lasts(self, left: Decimal, pace: Decimal) -> Decimal | None:
        """Seconds until nothing is left; None for ever."""
        if left <= 0:
            return ZERO
        if not pace:
            return None
        return min(divide(multiply(left, self._width), pace), _seconds(LONGEST))

    def _details(self, left: Decimal, pace: Decimal, known: int, level: Severity) -> dict[str, str]:
        """Texts for people: templates find them in `details`."""
        hourly, target = divide(multiply(pace, _HOUR), self._width), self._targets[level]
        send = RATIO.subtract(divide(multiply(pace, _seconds(target)), self._width), left)
        return {
            "speed": amount(_rounded(hourly, ROUND_HALF_EVEN)),
            "over": duration(multiply(self._width, Decimal(known))) if known < BUCKETS else duration(self.history),
            "send": amount(_rounded(max(send, ZERO), ROUND_CEILING)),
            "target": duration_text(target),
        }

    def breached(self, entry: Entry, details: Mapping[str, str]) -> str:
        unit = bare(entry.asset or "")
        ends = f"reaches its floor of {text(self.floor)} in" if self.floor else "lasts"
        said = f"{subject(entry)} {ends} {duration(entry.value)}"
        if not entry.value:
            down = f"down to its floor of {text(self.floor)}" if self.floor else "used up"
            said = f"{subject(entry)} is {down}"
        if "send" in details:
            said += f" at the {self._quantile} of the last {details['over']} ({details['speed']} {unit}/h)"
            said += f"; {details['send']} {unit} more would make it {details['target']}"
        return said

    def recovered(self, entry: Entry) -> str:
        lasts = "longer than can be told" if entry.value is None else f"{duration(entry.value)} again"
        return f"{subject(entry)} lasts {lasts}"

    @cached_property
    def _spec(self) -> FlowSpec:
        return FlowSpec(self.history, None, buckets=BUCKETS, dated=True)

    @cached_property
    def _scope(self) -> str:
        return self._spec.scope(self.assets)

    @cached_property
    def _empty(self) -> Flow:
        return flow(self.history, BUCKETS)

    @cached_property
    def _width(self) -> Decimal:
        """Seconds in a bucket."""
        return divide(Decimal(self._empty.width), _MILLION)

    def watched_for(self) -> timedelta:
        return self.history / 7 if self.min_history is None else self.min_history

    @cached_property
    def _least(self) -> int:
        return self.watched_for() // timedelta(microseconds=1)

    @cached_property
    def _quantile(self) -> str:
        return f"p{text(multiply(self.quantile, Decimal(100)).normalize())}"

    @cached_property
    def _levels(self) -> list[tuple[Severity, timedelta, timedelta | None]]:
        if self.levels is None:
            assert self.below is not None
            return [(self.severity, self.below, self.resolve_above)]
        return [(severity, level.below, level.resolve_above) for severity, level in worst_first(self.levels)]

    @cached_property
    def _targets(self) -> Mapping[Severity, timedelta]:
        """How long it should last for a level to be over."""
        return {severity: back or at for severity, at, back in self._levels}

    @cached_property
    def _ladder(self) -> Ladder:
        rungs = (
            Rung(severity, _seconds(at), None if back is None else _seconds(back))
            for severity, at, back in self._levels
        )
        return Ladder(tuple(rungs), low=True)

    @cached_property
    def _rate(self) -> Callable[[Decimal], tuple[Severity | None, Severity | None]]:
        return self._ladder.rater()

    @cached_property
    def _thresholds(self) -> Mapping[Severity, Decimal]:
        return self._ladder.thresholds()


def _seconds(span: timedelta) -> Decimal:
    return divide(Decimal(span // timedelta(microseconds=1)), _MILLION)


def _span_text(seconds: Decimal) -> str:
    return duration_text(timedelta(microseconds=int(seconds * _MILLION)))


def _check_band(below: timedelta, resolve_above: timedelta | None) -> None:
    if resolve_above is not None and resolve_above <= below:
        raise ValueError(f"resolve_above {duration_text(resolve_above)} is not above below {duration_text(below)}")


def _nearest_rank(values: Sequence[Decimal], quantile: Decimal) -> Decimal:
    """The smallest value that at least this share of all is not above; `quantile` is above 0, at most 1."""
    rank = RATIO.multiply(quantile, Decimal(len(values))).to_integral_value(ROUND_CEILING)
    return sorted(values)[int(rank) - 1]


def _rounded(value: Decimal, rounding: str) -> Decimal:
    """An amount as exactly as it is told."""
    if not value:
        return ZERO
    step = Decimal((0, (1,), value.adjusted() - _DIGITS + 1))
    return value.quantize(step, rounding=rounding, context=RATIO)
