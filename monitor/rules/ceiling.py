"""What `high_balance` and `locked_funds` share: a measure of each asset that should stay low."""

from functools import cached_property
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from monitor.fields import Amount
from monitor.rules.balance import BalanceRule
from monitor.rules.levels import (
    HighLevels,
    Ladder,
    Rung,
    check_high_band,
    check_order,
    check_written_once,
    worst_first,
)


class CeilingRule(BalanceRule):
    """Breached per asset while a measure is above a threshold, or above one of several."""

    worse: ClassVar[Literal["higher"]] = "higher"
    above: Amount | None = Field(default=None, description="bad above this; on it is still good")
    resolve_below: Amount | None = Field(default=None, description="once firing, good only below this")
    levels: HighLevels = Field(default=None, description="severity → {above, resolve_below}")

    @model_validator(mode="after")
    def _thresholds_make_sense(self) -> Self:
        check_written_once(self, "above", "resolve_below")
        if self.above is not None:
            check_high_band(self.above, self.resolve_below)
        check_order(self.ladder, "above", "resolve_below")
        return self

    @cached_property
    def ladder(self) -> Ladder:
        if self.levels is None:
            assert self.above is not None
            return Ladder((Rung(self.severity, self.above, self.resolve_below),), low=False)
        rungs = (Rung(level, it.above, it.resolve_below) for level, it in worst_first(self.levels))
        return Ladder(tuple(rungs), low=False)
