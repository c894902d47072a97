"""`unexplained_change`: a total moved by more than its ledger tells."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from monitor.fields import Duration, Threshold, ThresholdField
from monitor.model.alert import Severity, Verdict
from monitor.model.money import EXACT, subtract, text, total
from monitor.model.record import Entry
from monitor.model.residual import Opens, unexplained
from monitor.model.window import moment
from monitor.rules.base import RuleBase
from monitor.rules.facts import Facts, ResidualSpec, Sighting
from monitor.rules.levels import FlowLevels, check_moves, check_window, check_written_once, rungs_above
from monitor.rules.templates import USD, amount_of, subject
from monitor.rules.yardstick import judge_move, levels_of


class UnexplainedChange(RuleBase):
    """`{type: unexplained_change, above: 0.1, within: 1h, for: 5m}`: theft, or a booking that is wrong.

    All kinds of events explain, trading results and fees too. What one poll cannot explain and a later one can is
    nothing, whichever comes first; what stays open counts for `within`. Only for providers that have a ledger. The
    first observation, and a poll in which rows may be missing, give no verdict.
    """

    worse: ClassVar[Literal["higher"]] = "higher"
    type: Literal["unexplained_change"]
    above: ThresholdField | None = Field(default=None, description="an amount, or a percentage of the explained total")
    levels: FlowLevels = Field(default=None, description="severity → {above}")
    unit: Literal["asset", "usd"] | None = Field(default=None, description="default: asset")
    within: Duration = Field(default=timedelta(hours=1), description="how long what is not explained counts")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        check_written_once(self, "above")
        signless = "what is not explained has no sign here, the threshold cannot be negative"
        check_moves(self._rungs, self.unit, signless)
        check_window(self.within)
        return self

    @property
    def steady(self) -> bool:
        return True

    def measures(self) -> tuple[str, ...]:
        return ("total",)

    def residual(self) -> ResidualSpec:
        return self._spec

    def judge(self, facts: Facts) -> Iterator[Verdict]:
        if not isinstance(facts, Sighting) or facts.gap or facts.previous is None:
            return
        for asset, measures in facts.snapshot.amounts.items():
            value = measures.get("total")
            if value is None or not self.watches(asset):
                continue
            opens = facts.residuals.get(asset + self._suffix, ())
            if opens or asset in facts.alerting:
                amount = unexplained(opens)
                levels = levels_of(self._rungs, subtract(value, amount))
                details = _details(opens, amount)
                yield from judge_move(facts, asset, amount, levels, "total", details, in_usd=self.in_usd)

    def breached(self, entry: Entry, details: Mapping[str, str]) -> str:
        value, threshold = (amount_of(x, entry.unit, entry.asset) for x in (entry.value, entry.threshold))
        if "moved" not in details:
            return f"{subject(entry)} moved by {value} more than its ledger explains, above {threshold}"
        worth = f" ({value})" if entry.unit == USD else ""
        return (
            f"{subject(entry)} moved by {details['moved']}, its ledger explains {details['explained']}: "
            f"{details['unexplained']}{worth} unexplained since {details['since']}, more than {threshold}"
        )

    def recovered(self, entry: Entry) -> str:
        value = amount_of(entry.value, entry.unit, entry.asset)
        left = f"{value} is unexplained, which is good again" if entry.value else "nothing is unexplained any more"
        return f"{subject(entry)}: {left}"

    @cached_property
    def _spec(self) -> ResidualSpec:
        return ResidualSpec(self.within)

    @cached_property
    def _suffix(self) -> str:
        return self._spec.key("")

    @cached_property
    def _rungs(self) -> list[tuple[Severity, Threshold]]:
        return rungs_above(self.severity, self.above, self.levels)


def _details(opens: Opens, sum_of_open: Decimal) -> dict[str, str]:
    """What templates find in `details`: signed amounts of the polls that do not add up."""
    if not opens:
        return {}
    moved = total(each.moved for each in opens)
    return {
        "moved": _signed(moved),
        "explained": _signed(subtract(moved, sum_of_open)),
        "unexplained": _signed(sum_of_open),
        "since": f"{moment(opens[0].at):%Y-%m-%dT%H:%M:%SZ}",
    }


def _signed(amount: Decimal) -> str:
    said = text(EXACT.normalize(amount))
    return f"+{said}" if amount > 0 else said
