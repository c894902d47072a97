"""`expression`: a condition over the measures of an asset, in words of one's own."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Context, Decimal
from functools import cached_property
from typing import Literal

from pydantic import Field, field_validator

from monitor.model.alert import Severity, Verdict
from monitor.model.money import MAX_DIGITS, text
from monitor.model.record import Entry
from monitor.model.snapshot import Measures
from monitor.rules.base import RuleBase
from monitor.rules.expression_code import Formula, compiled
from monitor.rules.facts import Facts, Sighting

_NOTHING: Measures = {}
#: What cannot be written out, as one third cannot, is told to so many digits. It is judged before.
_TOLD = Context(prec=20)


class Expression(RuleBase):
    """`{type: expression, expression: "available < 0.2 * total"}`: breached per asset while that is true.

    Of two sides that are compared, the left one is the alert's value and the right one its threshold; of a longer
    condition there is neither. A measure that is not known, and a division by zero, make it unknown, unless the
    rest decides alone: `unknown or true` is true. `previous.total` is the total of the reading before.
    """

    type: Literal["expression"]
    expression: str = Field(
        description="numbers, measures, previous.<measure>, + - * /, comparisons, and or not, min max abs"
    )

    @field_validator("expression")
    @classmethod
    def _can_be_read(cls, written: str) -> str:
        compiled(written)
        return written

    @property
    def steady(self) -> bool:
        # The reading before may have been another one when it was judged last.
        return not self._formula.before

    def measures(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self._formula.now, *self._formula.before)))

    def judge(self, facts: Facts) -> Iterator[Verdict]:
        if not isinstance(facts, Sighting):
            return
        holds, earlier = self._formula.holds, facts.previous.amounts if facts.previous else {}
        for asset, now in facts.snapshot.amounts.items():
            if not self.watches(asset):
                continue
            before = earlier.get(asset, _NOTHING)
            truth = holds(now, before)
            if truth or (truth is False and asset in facts.alerting):
                yield self._verdict(asset, now, before, self.severity if truth else None)

    def _verdict(self, asset: str, now: Measures, before: Measures, level: Severity | None) -> Verdict:
        sides = self._formula.sides
        value, threshold = (_told(side(now, before)) for side in sides) if sides else (None, None)
        thresholds = {} if threshold is None else {self.severity: threshold}
        details = {name: text(now[name]) for name in self._formula.now if name in now}
        details |= {f"previous.{name}": text(before[name]) for name in self._formula.before if name in before}
        return Verdict(asset, level, level, value, None, thresholds, self._measure, None, details)

    @cached_property
    def _formula(self) -> Formula:
        return compiled(self.expression)

    @cached_property
    def _measure(self) -> str | None:
        """The measure the alert is about, if it is about one."""
        return self.measures()[0] if len(self.measures()) == 1 else None

    def made_up(self) -> Iterator[Entry]:
        for entry in super().made_up():
            known = replace(entry, measure=self._measure, unit=None, previous=None)
            yield known if self._formula.sides else replace(known, value=None, threshold=None)

    def breached(self, entry: Entry, details: Mapping[str, str]) -> str:
        known = ", ".join(f"{name} {value}" for name, value in details.items())
        return f"{self._subject(entry)}: {self._written}" + (f" ({known})" if known else "")

    def recovered(self, entry: Entry) -> str:
        return f"{self._subject(entry)}: no longer {self._written}"

    def _subject(self, entry: Entry) -> str:
        return " ".join(part for part in (entry.account or entry.provider, entry.asset) if part)

    @cached_property
    def _written(self) -> str:
        return " ".join(self.expression.split())


def _told(value: Decimal | None) -> Decimal | None:
    if value is None or len(value.as_tuple().digits) <= MAX_DIGITS:
        return value
    return _TOLD.plus(value)
