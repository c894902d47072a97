"""Sums are exact while their parts come and go, and intervals where a part is not known."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model.money import divide, exact, total
from monitor.model.sums import ANYTHING, NOT_BELOW_ZERO, NOTHING, Interval, Part, Sum, plus, worth

amounts = st.one_of(
    st.none(), st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**9), max_value=10**9)
)
steps = st.lists(st.tuples(st.sampled_from("abcde"), st.one_of(st.just("drop"), amounts), st.booleans()))


def plausible(value):
    try:
        return exact(value) == value
    except ValueError:
        return False


def interval(low, high):
    return Interval(*(None if end is None else Decimal(end) for end in (low, high)))


@given(steps)
def test_a_running_sum_is_what_adding_up_its_parts_gives(history):
    running, parts = Sum(), {}
    for account, said, signed in history:
        if said == "drop":
            running.drop(account)
            parts.pop(account, None)
        else:
            parts[account] = Part(account, "USDT", said, signed=signed)
            running.put(parts[account])

    unknown = [part for part in parts.values() if part.amount is None]
    known = total(part.amount for part in parts.values() if part.amount is not None)
    low = None if any(part.signed for part in unknown) else known
    assert running.interval() == Interval(low, None if unknown else known)


@pytest.mark.parametrize(
    ("a", "b", "summed"),
    [
        (("1", "2"), ("10", "20"), ("11", "22")),
        (("1", None), ("10", "20"), ("11", None)),
        ((None, "2"), ("10", "20"), (None, "22")),
        (("1", "1"), (None, None), (None, None)),
    ],
)
def test_an_end_that_nobody_knows_stays_unknown(a, b, summed):
    assert plus(interval(*a), interval(*b)) == interval(*summed)


@pytest.mark.parametrize(
    ("amount", "price", "expected"),
    [
        (("2", "3"), "10", ("20", "30")),
        (("2", None), "10", ("20", None)),
        (("2", "3"), None, ("0", None)),
        (("-3", "-2"), None, (None, "0")),
        (("-1", "1"), None, (None, None)),
        (("0", "0"), None, ("0", "0")),
    ],
)
def test_an_amount_without_a_price_is_worth_anything_on_its_side_of_zero(amount, price, expected):
    assert worth(interval(*amount), None if price is None else Decimal(price)) == interval(*expected)


def test_what_is_not_known_has_no_upper_end():
    assert plus(interval("5", "5"), NOT_BELOW_ZERO) == interval("5", None)
    assert plus(interval("5", "5"), ANYTHING) == interval(None, None)
    assert plus(NOTHING, interval("5", "5")).exact


def test_worths_at_periodic_prices_add_up():
    """A provider that says what 3 of an asset are worth says a price without an end; so do two of them."""
    prices = divide(Decimal(100), Decimal(3)), divide(Decimal("0.000123"), Decimal(70_000))
    whole = [
        worth(Interval(Decimal(amount), Decimal(amount)), price)
        for amount, price in zip((3, 70_000), prices, strict=True)
    ]
    part = [
        worth(Interval(Decimal(amount), Decimal(amount)), price) for amount, price in zip((2, 999), prices, strict=True)
    ]

    assert plus(*whole) == Interval(Decimal("100.000123"), Decimal("100.000123"))
    assert plus(*part).exact


@given(*[st.tuples(*[st.decimals(allow_nan=False, allow_infinity=False).filter(plausible)] * 2)] * 2)
def test_no_plausible_amounts_and_prices_are_too_much_to_add_up(one, other):
    parts = [worth(Interval(amount, amount), abs(price)) for amount, price in (one, other)]

    assert plus(*parts).exact
