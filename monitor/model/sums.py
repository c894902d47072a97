"""Amounts added up over accounts, some of which may not be known: an interval, never a guess.

A sum is kept by putting and dropping parts, so that it costs what changes, not what there is.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from monitor.model.leaders import Leaders
from monitor.model.money import RATIO, ZERO, add, subtract
from monitor.model.money import worth as worth_of

#: Measures that can be below zero: what an unknown one adds has no lower bound either.
SIGNED = frozenset({"equity"})


class Interval(NamedTuple):
    """The true amount lies within, both ends included; None is an end that nobody knows."""

    low: Decimal | None
    high: Decimal | None

    @property
    def exact(self) -> bool:
        """Whether it is a number after all."""
        return self.low is not None and self.low == self.high


NOTHING = Interval(ZERO, ZERO)
ANYTHING = Interval(None, None)
NOT_BELOW_ZERO = Interval(ZERO, None)


class Part(NamedTuple):
    """What one account adds to a sum, as last read; `amount` is None while it is not known."""

    account: str
    asset: str
    amount: Decimal | None
    read_at: datetime | None = None
    signed: bool = False


@dataclass(slots=True)
class Sum:
    """One asset added up over accounts."""

    parts: dict[str, Part] = field(default_factory=dict)
    known: Decimal = ZERO
    unknown: int = 0
    unbounded: int = 0
    _largest: Leaders[Part] | None = None
    _lacking: Leaders[Part] | None = None

    @classmethod
    def leading(cls) -> "Sum":
        """An empty one that will have many parts: it knows the first ones from the start."""
        return cls(_largest=Leaders(_by_amount), _lacking=Leaders(_by_name))

    def put(self, part: Part) -> None:
        """Take an account's part in place of the one it had."""
        self.drop(part.account)
        self.parts[part.account] = part
        self._count(part, 1)
        if (leaders := self._leaders(part)) is not None:
            leaders.put(part.account, part)

    def drop(self, account: str) -> None:
        """Forget an account's part."""
        part = self.parts.pop(account, None)
        if part is not None:
            self._count(part, -1)
            if (leaders := self._leaders(part)) is not None:
                leaders.drop(account)

    def largest(self, count: int) -> list[Part]:
        """The largest parts that are known, on either side of zero; of equal ones the first by name. At most 64."""
        if self._largest is None:
            self._largest = self._filled(_by_amount, known=True)
        found = self._largest.first(count)
        if found is None:
            self._largest = self._filled(_by_amount, known=True)
            found = self._largest.first(count)
        return found or []

    def lacking(self, count: int) -> list[Part]:
        """Parts that are not known, the first by name. At most 64."""
        if not self.unknown:
            return []
        if self._lacking is None:
            self._lacking = self._filled(_by_name, known=False)
        found = self._lacking.first(count)
        if found is None:
            self._lacking = self._filled(_by_name, known=False)
            found = self._lacking.first(count)
        return found or []

    def interval(self) -> Interval:
        """What the sum is, as far as its parts are known."""
        if not self.unknown:
            return Interval(self.known, self.known)
        return Interval(None if self.unbounded else self.known, None)

    def _leaders(self, part: Part) -> "Leaders[Part] | None":
        return self._lacking if part.amount is None else self._largest

    def _filled(self, key: Callable[[Part], Any], *, known: bool) -> Leaders[Part]:
        leaders = Leaders[Part](key)
        leaders.fill((name, part) for name, part in self.parts.items() if (part.amount is not None) == known)
        return leaders

    def _count(self, part: Part, sign: int) -> None:
        if part.amount is None:
            self.unknown += sign
            self.unbounded += sign if part.signed else 0
        elif sign > 0:
            self.known = add(self.known, part.amount)
        else:
            self.known = subtract(self.known, part.amount)


def _by_amount(part: Part) -> tuple[Decimal, str]:
    assert part.amount is not None
    return -abs(part.amount), part.account


def _by_name(part: Part) -> str:
    return part.account


#: Asset → sum.
Sums = Mapping[str, Sum]


def plus(a: Interval, b: Interval) -> Interval:
    """The sum of two amounts that are known as intervals; beyond a hundred digits, as worths may be, it is rounded."""
    low = None if a.low is None or b.low is None else RATIO.add(a.low, b.low)
    high = None if a.high is None or b.high is None else RATIO.add(a.high, b.high)
    return Interval(low, high)


def worth(amount: Interval, price: Decimal | None) -> Interval:
    """An amount at a price. Without one it is worth anything on its side of zero; nothing is worth nothing."""
    low, high = amount
    if price is not None:
        return Interval(low if low is None else worth_of(low, price), high if high is None else worth_of(high, price))
    if amount == NOTHING:
        return NOTHING
    return Interval(ZERO if low is not None and low >= 0 else None, ZERO if high is not None and high <= 0 else None)


def total_of(intervals: Iterable[Interval]) -> Interval:
    """The sum of amounts that are known as intervals; zero for none."""
    result = NOTHING
    for interval in intervals:
        result = plus(result, interval)
    return result
