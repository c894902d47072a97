"""What a total moved by and its ledger does not explain.

A balance and its ledger are read at slightly different moments, so what one poll cannot explain the next one may.
Such halves settle each other, however long one of them has been open: what is left is in neither of them.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from monitor.model.money import ZERO, add, subtract, total
from monitor.model.window import micros

#: Beyond so many the two oldest become one, which lasts as long as the younger of them.
OPEN_MAX = 16


class Open(NamedTuple):
    """An amount that nothing has explained yet, what the total moved by meanwhile, and since when (microseconds)."""

    amount: Decimal
    moved: Decimal
    at: int


#: Oldest first, all of one sign: those of the other one would have settled them.
Opens = tuple[Open, ...]


def settle(opens: Opens, moved: Decimal, explained: Decimal, now: datetime) -> Opens:
    """The open amounts after a poll in which the total moved by one amount and the ledger told of another.

    Their sum grows by exactly `moved - explained`; `moved - amount` of all of them is what the ledger told.
    """
    left = subtract(moved, explained)
    if not left:
        return opens
    rest = list(opens)
    while left and rest and (rest[0].amount > 0) != (left > 0):
        oldest = rest.pop(0)
        moved = add(moved, oldest.moved)
        if abs(oldest.amount) > abs(left):
            rest.insert(0, Open(add(oldest.amount, left), moved, oldest.at))
            left = ZERO
        else:
            left = add(left, oldest.amount)
    if left:
        rest.append(Open(left, moved, micros(now)))
    return merged(tuple(rest), OPEN_MAX)


def merged(opens: Opens, most: int) -> Opens:
    """At most so many, the oldest ones added up."""
    if len(opens) <= most:
        return opens
    old, young = opens[: 1 - most or None], opens[len(opens) + 1 - most :]
    return (Open(unexplained(old), total(each.moved for each in old), old[-1].at), *young)


def alive(opens: Opens, within: timedelta, now: datetime) -> Opens:
    """The amounts that have been open for less than `within`; the others will not be explained any more."""
    start, latest = micros(now - within), micros(now)
    if not opens or (opens[0].at > start and opens[-1].at <= latest):
        return opens
    # Those of a clock that was ahead are no younger than now.
    return tuple(each._replace(at=min(each.at, latest)) for each in opens if each.at > start)


def unexplained(opens: Opens) -> Decimal:
    """The sum of what is open; negative when it went away."""
    return total(each.amount for each in opens)
