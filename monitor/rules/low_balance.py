"""`low_balance`: a measure is below a threshold."""

from functools import cached_property
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from monitor.fields import Amount
from monitor.rules.balance import BalanceRule
from monitor.rules.levels import (
    Ladder,
    LowLevels,
    Rung,
    check_low_band,
    check_order,
    check_written_once,
    worst_first,
)


class LowBalance(BalanceRule):
    """`{type: low_balance, below: 80_000, resolve_above: 100_000}`, or `levels` of them."""

    worse: ClassVar[Literal["lower"]] = "lower"
    type: Literal["low_balance"]
    below: Amount | None = Field(default=None, description="bad below this; on it is still good")
    resolve_above: Amount | None = Field(default=None, description="once firing, good only above this")
    levels: LowLevels = Field(default=None, description="severity → {below, resolve_above}")

    @model_validator(mode="after")
    def _thresholds_make_sense(self) -> Self:
        check_written_once(self, "below", "resolve_above")
        if self.below is not None:
            check_low_band(self.below, self.resolve_above)
        check_order(self.ladder, "below", "resolve_above")
        return self

    @cached_property
    def ladder(self) -> Ladder:
        if self.levels is None:
            assert self.below is not None
            return Ladder((Rung(self.severity, self.below, self.resolve_above),), low=True)
        rungs = (Rung(level, it.below, it.resolve_above) for level, it in worst_first(self.levels))
        return Ladder(tuple(rungs), low=True)
