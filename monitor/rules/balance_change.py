"""`balance_change`: a measure moved away from its highest or lowest value of a window."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from monitor.fields import Duration, Section, Threshold, ThresholdField, duration_text
from monitor.model.alert import Severity, Verdict
from monitor.model.extremes import extreme
from monitor.model.money import subtract, text
from monitor.model.record import Entry
from monitor.model.window import moment
from monitor.rules.balance import Measure
from monitor.rules.base import RuleBase
from monitor.rules.facts import ExtremeSpec, Facts, Sighting
from monitor.rules.levels import check_moves, check_window, worst_first
from monitor.rules.templates import amount_of, subject
from monitor.rules.yardstick import judge_move, levels_of

_KEYS: tuple[Literal["falls_by", "rises_by"], ...] = ("falls_by", "rises_by")


class ChangeLevel(Section):
    """`{falls_by: 50_000}` or `{falls_by: 25%}`; all levels of a rule look the same way"""

    falls_by: ThresholdField | None = None
    rises_by: ThresholdField | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        _check_one_way(self)
        return self


class BalanceChange(RuleBase):
    """`{type: balance_change, measure: equity, falls_by: 25%, within: 24h}`: more than that below the highest.

    `rises_by` looks at the lowest. In USD both ends have the price of now: a price that moves is no change. The
    first observation, and a measure or a price that is not known, give no verdict.
    """

    worse: ClassVar[Literal["higher"]] = "higher"
    type: Literal["balance_change"]
    measure: Measure = "available"
    falls_by: ThresholdField | None = Field(default=None, description="an amount, or a percentage of the highest")
    rises_by: ThresholdField | None = Field(default=None, description="an amount, or a percentage of the lowest")
    levels: Annotated[Mapping[Severity, ChangeLevel] | None, Field(min_length=1)] = Field(
        default=None, description="severity → {falls_by} or {rises_by}"
    )
    unit: Literal["asset", "usd"] | None = Field(default=None, description="default: asset")
    within: Duration = Field(description="how far back the highest or lowest is looked for")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.levels is None:
            _check_one_way(self)
        for own in (*_KEYS, "severity"):
            if self.levels is not None and own in self.model_fields_set:
                raise ValueError(f"`{own}` stands inside `levels` here, not beside it")
        if self.levels is not None and len({level.falls_by is None for level in self.levels.values()}) > 1:
            raise ValueError("one rule looks one way: the levels mix `falls_by` and `rises_by`")
        check_moves(self._rungs, self.unit, f"`{self._key}` says which way, its amount cannot be negative", self._key)
        check_window(self.within)
        return self

    @property
    def steady(self) -> bool:
        # As for flows: no change has no worth.
        return True

    def measures(self) -> tuple[str, ...]:
        return (self.measure,)

    def extreme(self) -> ExtremeSpec | None:
        return self._spec

    def judge(self, facts: Facts) -> Iterator[Verdict]:
        if not isinstance(facts, Sighting):
            return
        for asset, measures in facts.snapshot.amounts.items():
            value = measures.get(self.measure)
            if value is None or not self.watches(asset):
                continue
            left = extreme(facts.extremes.get(asset + self._ring, ()), self.within, facts.now)
            if left is None and (facts.previous is None or facts.previous.of(asset, self.measure) is None):
                continue
            changed = left is not None and (left.value > value if self._falls else left.value < value)
            if not changed and asset not in facts.alerting:
                continue
            base, details = value, {"now": text(value)}
            if left is not None and changed:
                base, until = left.value, f"{moment(left.until):%Y-%m-%dT%H:%M:%SZ}"
                details = {self._name: text(base), **details, "until": until}
            levels, change = levels_of(self._rungs, base), subtract(base, value)
            yield from judge_move(facts, asset, change, levels, self.measure, details, in_usd=self.in_usd)

    @cached_property
    def _key(self) -> Literal["falls_by", "rises_by"]:
        written = self if self.levels is None else next(iter(self.levels.values()))
        return "falls_by" if written.falls_by is not None else "rises_by"

    @cached_property
    def _falls(self) -> bool:
        return self._key == "falls_by"

    @cached_property
    def _name(self) -> str:
        return "highest" if self._falls else "lowest"

    @cached_property
    def _rungs(self) -> list[tuple[Severity, Threshold]]:
        levels = [(self.severity, self)] if self.levels is None else worst_first(self.levels)
        return [(severity, getattr(level, self._key)) for severity, level in levels]

    @cached_property
    def _spec(self) -> ExtremeSpec:
        return ExtremeSpec(self.measure, "high" if self._falls else "low", self.within)

    @cached_property
    def _ring(self) -> str:
        """What follows the asset in a ring's name: made once, not per asset and poll."""
        return self._spec.key("")

    def breached(self, entry: Entry, details: Mapping[str, str]) -> str:
        value, threshold = (amount_of(x, entry.unit, entry.asset) for x in (entry.value, entry.threshold))
        way = "fell" if self._falls else "rose"
        ends = f", from {details[self._name]} to {details['now']}" if self._name in details else ""
        written = next((said for severity, said in self._rungs if severity == entry.severity), None)
        limit = f"{written} ({threshold})" if written and written.percent else threshold
        lately = entry.value is not None and entry.threshold is not None and entry.value <= entry.threshold
        beyond = f"but only lately no longer more than {limit}" if lately else f"more than {limit}"
        return f"{subject(entry)} {way} by {value} within {duration_text(self.within)}{ends}, {beyond}"

    def recovered(self, entry: Entry) -> str:
        way, end = ("below its highest", "highest") if self._falls else ("above its lowest", "lowest")
        if not entry.value:
            return f"{subject(entry)} is at its {end} of {duration_text(self.within)} again"
        value = amount_of(entry.value, entry.unit, entry.asset)
        return f"{subject(entry)} is {value} {way} of {duration_text(self.within)}, which is good again"


def _check_one_way(written: ChangeLevel | BalanceChange) -> None:
    given = [key for key in _KEYS if getattr(written, key) is not None]
    if not given:
        raise ValueError("a threshold is missing: write `falls_by` or `rises_by`")
    if len(given) > 1:
        raise ValueError("`falls_by` and `rises_by` are two rules: write one of them")
