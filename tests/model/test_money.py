"""Amounts are exact, or refused."""

from decimal import Decimal, Inexact
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model.money import (
    MAX_DIGITS,
    MAX_EXPONENT,
    _looked_at,
    add,
    divide,
    exact,
    multiply,
    subtract,
    text,
    total,
)

#: Amounts as providers send them: up to 30 digits before and 30 after the point.
AMOUNTS = st.builds(
    lambda units, places: Decimal(units).scaleb(-places),
    st.integers(-(10**27), 10**27),
    st.integers(0, 30),
)


@pytest.mark.parametrize("value", [1.0, 1, True, "1", None, b"1", float("nan")], ids=lambda value: type(value).__name__)
def test_what_is_no_decimal_is_refused(value):
    with pytest.raises(TypeError):
        exact(value)


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("NaN", id="not a number"),
        pytest.param("sNaN", id="a signalling one"),
        pytest.param("Infinity", id="infinite"),
        pytest.param("-Infinity", id="infinitely in debt"),
        pytest.param("1E+46", id="too large"),
        pytest.param("-1E+46", id="too far in debt"),
        pytest.param("1E-46", id="too small"),
        pytest.param("1" * 61, id="too many digits"),
        pytest.param("0." + "1" * 61, id="too many of them behind the point"),
        pytest.param("0E+999999", id="a zero that would print a million digits"),
        pytest.param("0E-999999", id="or as many behind the point"),
    ],
)
def test_what_cannot_be_money_is_refused(written):
    with pytest.raises(ValueError, match="amount"):
        exact(Decimal(written))


@pytest.mark.parametrize(
    "written",
    ["0", "-0.00", "1E+45", "1E-45", "9" * 46, "0." + "1" * 45, "0.000000000000000001", "-5", "0E-18"],
)
def test_what_can_be_money_is_returned_as_it_is(written):
    value = Decimal(written)

    assert exact(value) is value


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("1E+3", "1000"), ("1E-7", "0.0000001"), ("412.50", "412.50"), ("-0.00", "0.00"), ("-0", "0"),
        ("0E-7", "0.0000000"), ("-1.5", "-1.5"), ("123456789012345678901234567890.123456789", None),
    ],
)  # fmt: skip
def test_an_amount_is_written_with_all_its_digits_and_no_exponent(written, plain):
    assert text(Decimal(written)) == (plain or written)


@given(AMOUNTS)
def test_writing_loses_nothing(value):
    assert Decimal(text(value)) == value
    assert "E" not in text(value)


@given(AMOUNTS, AMOUNTS)
def test_sums_and_differences_agree_with_whole_number_arithmetic(a, b):
    assert Fraction(add(a, b)) == Fraction(a) + Fraction(b)
    assert Fraction(subtract(a, b)) == Fraction(a) - Fraction(b)
    assert subtract(add(a, b), b) == a


@given(st.lists(AMOUNTS, max_size=20))
def test_a_total_does_not_depend_on_the_order(values):
    assert total(values) == total(sorted(values)) == sum(map(Fraction, values))


@given(AMOUNTS, AMOUNTS)
def test_a_product_of_amounts_is_exact(a, b):
    assert Fraction(multiply(a, b)) == Fraction(a) * Fraction(b)


def test_eighteen_decimals_survive_beside_a_trillion():
    assert add(Decimal(10**12), Decimal("0.000000000000000001")) == Decimal("1000000000000.000000000000000001")


def test_a_sum_that_would_be_rounded_raises():
    with pytest.raises(Inexact):
        add(Decimal("1E+60"), Decimal("1E-60"))


def test_a_ratio_is_rounded_far_beyond_any_amount():
    assert abs(Fraction(divide(Decimal(1), Decimal(3))) - Fraction(1, 3)) < Fraction(1, 10**99)


def test_the_limits_leave_room_for_sums():
    largest = Decimal(10**MAX_EXPONENT - 1)

    assert add(largest, Decimal("0." + "1" * (MAX_DIGITS - MAX_EXPONENT))) > largest
    assert total([largest] * 1_000) == int(largest) * 1_000


@given(
    st.integers(-(10**62), 10**62),
    st.one_of(st.integers(-110, 50), st.integers(-(10**6), 10**6)),
)
def test_the_quick_look_and_the_close_look_agree(digits, exponent):
    value = Decimal((int(digits < 0), tuple(map(int, str(abs(digits)))), exponent))

    def verdict(look):
        try:
            return look(value) is value
        except ValueError:
            return False

    assert verdict(exact) == verdict(_looked_at)
