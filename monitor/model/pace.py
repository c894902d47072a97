"""How fast an account is emptied: a quantile of what went out in each bucket of a ring."""

from collections.abc import Sequence
from decimal import ROUND_CEILING, Decimal

from monitor.model.money import RATIO, ZERO
from monitor.model.window import Flow

_NOTHING = (ZERO, ZERO)


def outflows(ring: Flow, since: int, now: int) -> list[Decimal]:
    """What went out in each whole bucket of the window, oldest first, none that began before `since`.

    Times are microseconds since 1970. The bucket that `now` is in has not ended and is not among them.
    """
    latest = now // ring.width
    first = max(latest - ring.buckets, -(-since // ring.width))
    return [ring.sums.get(bucket, _NOTHING)[1] for bucket in range(first, latest)]


def nearest_rank(values: Sequence[Decimal], quantile: Decimal) -> Decimal:
    """The smallest value that at least this share of all is not above; `quantile` is above 0, at most 1."""
    rank = RATIO.multiply(quantile, Decimal(len(values))).to_integral_value(ROUND_CEILING)
    return sorted(values)[int(rank) - 1]


def rounded(value: Decimal, digits: int, rounding: str) -> Decimal:
    """An amount with so many significant digits."""
    if not value:
        return ZERO
    step = Decimal((0, (1,), value.adjusted() - digits + 1))
    return value.quantize(step, rounding=rounding, context=RATIO)
