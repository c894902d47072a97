"""What keeps an alert from saying too much, or too little: it waits, flapping is held, steadily worse is told again."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from monitor.model.money import RATIO, ZERO, divide, multiply

#: When an alert fired, changed its level or resolved, oldest first.
Turns = tuple[datetime, ...]

_HUNDRED = Decimal(100)


class Flap(NamedTuple):
    """More turns than `max` in `within` are flapping, until no more than half as many are left in it.

    Calm needs fewer turns than flapping, so an alert at the edge of flapping does not flap in and out of that.
    """

    max: int = 6
    within: timedelta = timedelta(minutes=10)

    def add(self, turns: Turns, now: datetime, *, turned: bool) -> Turns:
        """The turns that still count, with one of now if there was; never more than `max` + 1 are kept."""
        # A clock that was ahead must not make a change count for longer than the window.
        kept = [min(turn, now) for turn in turns if now - turn < self.within]
        return tuple([*kept, now] if turned else kept)[-self.max - 1 :]

    def flaps(self, turns: Turns) -> bool:
        """Whether these are too many."""
        return len(turns) > self.max

    def calm(self, turns: Turns) -> bool:
        """Whether these are few enough for what flapped to be told again as it is."""
        return len(turns) <= self.max // 2


FLAP = Flap()


class Renotify(NamedTuple):
    """Tell again when a value is worse than the one told by this much: an amount, or `percent` of the value told."""

    by: Decimal
    percent: bool
    low: bool

    def due(self, told: Decimal | None, value: Decimal | None) -> bool:
        """Whether `value` is that much lower (`low`: small values are bad) or higher than `told`."""
        if told is None or value is None:
            return False
        # A worth has as many digits as its price, which may be periodic: no exact difference need exist.
        worse = RATIO.subtract(told, value) if self.low else RATIO.subtract(value, told)
        step = divide(multiply(told.copy_abs(), self.by), _HUNDRED) if self.percent else self.by
        return worse > ZERO and worse >= step


@dataclass(frozen=True, slots=True)
class Timing:
    """How long bad must last to fire, and good to resolve; the longest gap that counts; when to say less or more."""

    wait: timedelta
    keep: timedelta
    tolerance: timedelta
    flap: Flap = FLAP
    renotify: Renotify | None = None
