"""Thresholds per severity: how they are written, that they make sense together, and how a value is rated."""

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, Field, model_validator

from monitor.fields import Amount, Section, Threshold, ThresholdField
from monitor.model.alert import SEVERITIES, Severity
from monitor.model.money import text
from monitor.rules.mistakes import mistake

_T = TypeVar("_T")
_SHORTEST, _LONGEST = timedelta(seconds=1), timedelta(days=366)


def check_window(window: timedelta, key: str = "within") -> None:
    """ValueError for a window that no ring could be made for."""
    if not _SHORTEST <= window <= _LONGEST:
        raise ValueError(f"`{key}` is at least 1s and at most 366d")


class LowLevel(Section):
    """`{below: 80_000, resolve_above: 100_000}`"""

    below: Amount
    resolve_above: Amount | None = Field(default=None, description="once firing, good only above this")

    @model_validator(mode="after")
    def _band(self) -> Self:
        check_low_band(self.below, self.resolve_above)
        return self


class HighLevel(Section):
    """`{above: 1_000_000, resolve_below: 900_000}`"""

    above: Amount
    resolve_below: Amount | None = Field(default=None, description="once firing, good only below this")

    @model_validator(mode="after")
    def _band(self) -> Self:
        check_high_band(self.above, self.resolve_below)
        return self


class FlowLevel(Section):
    """`{above: 50_000}` or `{above: 25%}`"""

    above: ThresholdField


LowLevels = Annotated[Mapping[Severity, LowLevel] | None, Field(min_length=1)]
HighLevels = Annotated[Mapping[Severity, HighLevel] | None, Field(min_length=1)]
FlowLevels = Annotated[Mapping[Severity, FlowLevel] | None, Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Rung:
    """One level: bad beyond `at`; once bad, good again only beyond `back` in the other direction."""

    severity: Severity
    at: Decimal
    back: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Ladder:
    """Levels, worst first. `low` says that small values are the bad ones."""

    rungs: tuple[Rung, ...]
    low: bool

    def thresholds(self) -> Mapping[Severity, Decimal]:
        """Severity → threshold."""
        return {rung.severity: rung.at for rung in self.rungs}

    def recoveries(self) -> Mapping[Severity, Decimal]:
        """Severity → beyond which value it has recovered, where that is another than the threshold."""
        return {rung.severity: rung.back for rung in self.rungs if rung.back is not None}

    def rater(self) -> Callable[[Decimal], tuple[Severity | None, Severity | None]]:
        """A function from a value to (worst level it breaches, worst level it has not recovered from)."""
        beyond, short = (operator.lt, operator.le) if self.low else (operator.gt, operator.ge)
        rungs = tuple((rung.severity, rung.at, rung.back) for rung in self.rungs)

        def rate(value: Decimal) -> tuple[Severity | None, Severity | None]:
            held: Severity | None = None
            for severity, at, back in rungs:
                if beyond(value, at):
                    return severity, held or severity
                if held is None and back is not None and short(value, back):
                    held = severity
            return None, held

        return rate


def check_low_band(below: Decimal, resolve_above: Decimal | None) -> None:
    """ValueError unless recovery lies above the threshold."""
    if resolve_above is not None and resolve_above <= below:
        raise ValueError(f"resolve_above {text(resolve_above)} is not above below {text(below)}")


def check_high_band(above: Decimal, resolve_below: Decimal | None) -> None:
    """ValueError unless recovery lies below the threshold."""
    if resolve_below is not None and resolve_below >= above:
        raise ValueError(f"resolve_below {text(resolve_below)} is not below above {text(above)}")


def check_written_once(rule: BaseModel, key: str, back: str | None = None) -> None:
    """ValueError unless the thresholds stand either on the rule itself or in `levels`."""
    fields: Any = rule
    if fields.levels is None:
        if getattr(fields, key) is None:
            raise ValueError(f"a threshold is missing: write `{key}`, or `levels`")
        return
    for own in (key, back, "severity"):
        if own is not None and own in rule.model_fields_set:
            raise ValueError(f"`{own}` stands inside `levels` here, not beside it")


def worst_first(levels: Mapping[Severity, _T]) -> list[tuple[Severity, _T]]:
    """Levels in the order in which they are tried."""
    return [(severity, levels[severity]) for severity in reversed(SEVERITIES) if severity in levels]


def check_order(ladder: Ladder, key: str, back: str, told: Callable[[Decimal], str] = text) -> None:
    """A mistake at the worse level unless it is stricter, and recovers no later, than the milder one.

    `told` writes a threshold as people do.
    """
    side = "below" if ladder.low else "above"
    beyond = operator.lt if ladder.low else operator.gt
    for worse, milder in zip(ladder.rungs, ladder.rungs[1:], strict=False):
        if not beyond(worse.at, milder.at):
            said = f"{key} {told(worse.at)} is not {side} the {told(milder.at)} of {milder.severity}"
            raise mistake(said, "levels", worse.severity)
        recovered = milder.at if milder.back is None else milder.back
        if worse.back is not None and beyond(recovered, worse.back):
            said = f"{back} {told(worse.back)} is past the point where {milder.severity} has recovered"
            raise mistake(f"{said}, {told(recovered)}", "levels", worse.severity)


def rungs_above(
    severity: Severity, above: Threshold | None, levels: Mapping[Severity, FlowLevel] | None
) -> list[tuple[Severity, Threshold]]:
    """The thresholds that stand on a rule, or in its `levels`, worst first."""
    if levels is None:
        assert above is not None, "one of them is written"
        return [(severity, above)]
    return [(each, level.above) for each, level in worst_first(levels)]


def amounts_of(rungs: Iterable[tuple[Severity, Threshold]]) -> tuple[tuple[Severity, Decimal], ...]:
    """The same as plain numbers."""
    return tuple((severity, threshold.value) for severity, threshold in rungs)


def check_moves(rungs: list[tuple[Severity, Threshold]], unit: str | None, signless: str, key: str = "above") -> None:
    """The same for what moved, whose thresholds may be percentages: those cannot be compared with amounts.

    `signless` says why none can be negative.
    """
    if len({threshold.percent for _, threshold in rungs}) > 1:
        raise mistake("the levels mix amounts and percentages", "levels")
    ladder = Ladder(tuple(Rung(severity, threshold.value) for severity, threshold in rungs), low=False)
    check_order(ladder, key, "")
    if rungs[0][1].percent and unit not in (None, "percent"):
        raise ValueError(f"{rungs[0][1]} is a percentage, `unit: {unit}` contradicts it")
    if any(threshold.value < 0 for _, threshold in rungs):
        raise ValueError(signless)
