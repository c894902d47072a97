"""Amounts are exact from the first byte to the last, or refused."""

from collections.abc import Iterable
from decimal import (
    ROUND_HALF_EVEN,
    Clamped,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
    Rounded,
    Subnormal,
)

#: Beyond these a number from outside is garbled, not money.
MAX_DIGITS = 60
MAX_EXPONENT = 45
_PRECISION = 100

#: Sums of plausible amounts fit; whatever would be rounded is a bug, and raises.
EXACT = Context(prec=_PRECISION, rounding=ROUND_HALF_EVEN, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
#: For ratios, which may be periodic: rounded at a hundred digits, never used for a stored amount.
RATIO = Context(prec=_PRECISION, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow, Clamped])

#: What nearly every amount passes in one step; it signals for everything that needs a closer look.
_PLAUSIBLE = Context(
    prec=MAX_DIGITS,
    Emin=-MAX_EXPONENT,
    Emax=MAX_EXPONENT,
    traps=[Clamped, InvalidOperation, Overflow, Rounded, Subnormal],
)

#: A product that has more digits than an amount may have came of a rounded ratio.
_WHOLE, _SHORT = Context(prec=MAX_DIGITS, traps=[]), Context(prec=30, traps=[])
_READABLE = Context(prec=15, traps=[])

ZERO = Decimal(0)
_plus = EXACT.add
_minus = EXACT.subtract


def exact(value: object) -> Decimal:
    """Return `value` if it can be money; TypeError for no Decimal, ValueError for no plausible amount."""
    # A float that reaches this line has already lost cents: refuse, never repair.
    if type(value) is not Decimal:
        raise TypeError(f"an amount needs a Decimal, got {type(value).__name__}")
    try:
        _PLAUSIBLE.plus(value)
        if value.is_finite():
            return value
    except ArithmeticError:
        pass
    return _looked_at(value)


def _looked_at(value: Decimal) -> Decimal:
    """The same rules one by one, to say which of them is broken."""
    if not value.is_finite():
        raise ValueError(f"{value} is not an amount")
    if value and abs(value.adjusted()) > MAX_EXPONENT:
        raise ValueError(f"an amount with exponent {value.adjusted()} is not plausible")
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    # Zero may be written 0E+999999, which would print a million digits.
    if len(digits) > MAX_DIGITS or abs(exponent) > MAX_EXPONENT + MAX_DIGITS:
        raise ValueError(f"an amount of {len(digits)} digits is not plausible")
    return value


def add(a: Decimal, b: Decimal) -> Decimal:
    """a + b without losing a digit; decimal.Inexact if that is impossible."""
    return _plus(a, b)


def subtract(a: Decimal, b: Decimal) -> Decimal:
    """a - b without losing a digit; decimal.Inexact if that is impossible."""
    return _minus(a, b)


def multiply(a: Decimal, b: Decimal) -> Decimal:
    """a * b, exact to a hundred digits."""
    return RATIO.multiply(a, b)


def divide(a: Decimal, b: Decimal) -> Decimal:
    """a / b, exact to a hundred digits."""
    return RATIO.divide(a, b)


def worth(amount: Decimal, price: Decimal) -> Decimal:
    """amount * price. A price may be periodic (33.33… for a third of 100): its three are worth 100, not 99.99…"""
    product = RATIO.multiply(amount, price)
    whole = _WHOLE.plus(product)
    if whole != product:
        return _SHORT.plus(product).normalize(_SHORT)
    # A rounded ratio leaves a tail of zeros.
    return product if len(product.as_tuple().digits) <= MAX_DIGITS else whole.normalize(_WHOLE)


def total(values: Iterable[Decimal]) -> Decimal:
    """The exact sum; zero for nothing."""
    result = ZERO
    for value in values:
        result = _plus(result, value)
    return result


def text(value: Decimal) -> str:
    """Write an amount for JSON and people: all its digits, never an exponent, never a negative zero."""
    return format(value, "f") if value else format(abs(value), "f")


def readable(value: Decimal) -> str:
    """A price or a worth as people read it: at most 15 significant digits."""
    return text(_READABLE.plus(value).normalize(_READABLE))
