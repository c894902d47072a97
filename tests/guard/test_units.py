"""Amounts are exact, or they are refused: never rounded in anybody's favour but the house's."""

from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.guard import units
from monitor.guard.errors import AmountImprecise, AmountInvalid

ONE = 10**units.SCALE
#: Units at the borders of the three limbs of fifteen digits, and around them.
BORDERS = sorted({max(0, min(units.MAX, 10**at + by)) for at in (0, 15, 18, 30, 44, 45) for by in (-1, 0, 1)})

counted = st.integers(0, units.MAX) | st.sampled_from(BORDERS)
#: What a provider may say: any sign, up to sixty digits, any scale.
said = st.builds(
    lambda sign, digits, exponent: Decimal((sign, tuple(map(int, str(digits))), exponent)),
    st.sampled_from((0, 1)),
    st.integers(0, 10**60),
    st.integers(-45, 45),
)


@st.composite
def written(draw):
    whole = draw(st.text("0123456789", min_size=1, max_size=27))
    fraction = draw(st.text("0123456789", max_size=18))
    return f"{whole}.{fraction}" if fraction else whole


@given(written())
@example("0")
@example("9" * 27 + "." + "9" * 18)
@example("0." + "0" * 17 + "1")
def test_what_a_caller_writes_is_counted_exactly(text):
    counted, decimals = units.parse(text)

    assert Fraction(counted, ONE) == Fraction(text)
    assert decimals == len(text.partition(".")[2])
    assert 0 <= counted <= units.MAX


@given(written())
def test_what_was_parsed_is_written_as_it_came_but_for_leading_zeros(text):
    whole, _, fraction = text.partition(".")
    expected = str(int(whole)) + (f".{fraction}" if fraction else "")

    assert units.text(*units.parse(text)) == expected


@given(counted)
def test_a_text_and_its_units_are_the_same_number(number):
    assert units.parse(units.text(number))[0] == number
    assert Fraction(units.text(-number)) == Fraction(-number, ONE)


@given(counted, st.integers(0, units.SCALE))
def test_a_text_has_as_many_decimals_as_it_needs_and_at_least_those_asked_for(number, at_least):
    whole, _, fraction = units.text(number, at_least).partition(".")

    assert len(fraction) >= at_least
    assert len(fraction) == at_least or not fraction.endswith("0")
    assert whole.isdigit()


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "-1", "+1", " 1", "1 ", "1\n", "1.", ".5", "1..2", "1,5", "1_000", "1e5", "0x10", "NaN", "Infinity",
        "１２", "١٢", "1.５", "1" * 28, "1" * 28 + ".0", "1\u00a0000", "true", "½", "1" + "\u0660",
    ],
)  # fmt: skip
def test_what_is_no_plain_amount_is_refused(text):
    with pytest.raises(AmountInvalid):
        units.parse(text)


@pytest.mark.parametrize("text", ["1." + "0" * 19, "0." + "0" * 18 + "1", "9" * 27 + "." + "9" * 60])
def test_more_decimals_than_are_counted_are_refused_not_cut(text):
    with pytest.raises(AmountImprecise):
        units.parse(text)


@given(st.text())
def test_any_other_text_is_an_amount_or_a_typed_refusal(text):
    try:
        counted, _ = units.parse(text)
    except (AmountInvalid, AmountImprecise):
        return
    assert text.isascii()
    assert Fraction(counted, ONE) == Fraction(text)


def within(number):
    return min(units.MAX, max(0, number))


@given(said)
@example(Decimal("-0.5"))
@example(Decimal("0.9999999999999999999"))
@example(Decimal("1E+45"))
def test_what_is_there_is_rounded_down_and_what_is_taken_off_up(value):
    exact = Fraction(value) * ONE

    assert units.floor(value) == within(exact.__floor__())
    assert units.ceil(value) == within(exact.__ceil__())
    if value > 0:
        assert units.floor(value) <= exact or exact > units.MAX


@given(said)
def test_the_context_of_decimals_does_not_matter(value):
    expected = units.floor(value), units.ceil(value)

    with localcontext(prec=3):
        assert (units.floor(value), units.ceil(value)) == expected


@given(said)
def test_decimals_are_those_written_as_far_as_they_count(value):
    assert units.decimals(value) == min(units.SCALE, max(0, -value.as_tuple().exponent))


@given(counted, counted)
def test_padded_texts_compare_as_their_numbers(one, other):
    assert (units.padded(one) < units.padded(other)) == (one < other)
    assert len(units.padded(one)) == units.WIDTH
    assert int(units.padded(one)) == one


@pytest.mark.parametrize("number", [-1, units.MAX + 1])
def test_what_has_a_sign_or_a_46th_digit_is_not_padded(number):
    with pytest.raises(OverflowError):
        units.padded(number)
