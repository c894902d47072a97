"""Amounts as the guard counts them: whole units of 10^-18, at most 45 digits of them.

Redis' Lua knows only doubles, so an amount travels as a text of fixed width that three exact limbs make up.
"""

import re
from decimal import Decimal
from functools import lru_cache

from monitor.guard.errors import AmountImprecise, AmountInvalid

#: Decimals of a unit, and digits of an amount in units: 27 digits are left before the point.
SCALE, WIDTH = 18, 45
MAX: int = 10**WIDTH - 1
_TENS = tuple(10**power for power in range(SCALE + 1))

# ASCII digits only: `Decimal` and `int` would take `１２`, `1_000` and ` 12 ` as well.
_AMOUNT = re.compile(r"(\d{1,27})(?:\.(\d{1,18}))?", re.ASCII)
_TOO_FINE = re.compile(r"\d{1,27}\.\d{19,60}", re.ASCII)


def parse(text: str) -> tuple[int, int]:
    """A caller's `12.50` as (units, decimals as written); never rounded.

    AmountImprecise: more than 18 decimals. AmountInvalid: no plain amount.
    """
    if found := _AMOUNT.fullmatch(text):
        whole, fraction = found[1], found[2] or ""
        return int(whole + fraction.ljust(SCALE, "0")), len(fraction)
    if _TOO_FINE.fullmatch(text):
        raise AmountImprecise(f"an amount has {SCALE} decimals at most")
    raise AmountInvalid('an amount is text like "12.50": 1 to 27 digits, then at most 18 decimals')


def floor(value: Decimal) -> int:
    """What a provider tells, in units and never more than it said: a negative balance is nothing to spend."""
    return min(MAX, max(0, _scaled(value)))


def ceil(value: Decimal) -> int:
    """What is taken off, in units and never less than it was."""
    return min(MAX, max(0, -_scaled(value.copy_negate())))


def _scaled(value: Decimal) -> int:
    """Rounded down. Built of the digits: `scaleb` and a minus sign would round to the context's precision."""
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int), "an amount is finite"
    number = int("".join(map(str, digits)) or "0") * (-1 if sign else 1)
    scaled: int = number * 10 ** max(0, exponent + SCALE) // 10 ** max(0, -exponent - SCALE)
    return scaled


def decimals(value: Decimal) -> int:
    """How many decimals an amount is written with, as far as they count here."""
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int), "an amount is finite"
    return min(SCALE, max(0, -exponent))


# Most of what is told is zero, or what was told before.
@lru_cache(maxsize=4096)
def text(units: int, at_least: int = 0) -> str:
    """An exact decimal of units, with at least so many decimals and no more than it needs: `12.50` for people."""
    number, rest = divmod(abs(units), _TENS[SCALE - at_least])
    digits = str(number).rjust(at_least + 1, "0")
    point = len(digits) - at_least
    fraction = digits[point:]
    if rest:
        fraction += f"{rest:0{SCALE - at_least}}".rstrip("0")
    sign = "-" if units < 0 else ""
    return f"{sign}{digits[:point]}.{fraction}" if fraction else sign + digits


def padded(units: int) -> str:
    """The fixed width that the store's functions count in; such texts compare as their numbers do."""
    if not 0 <= units <= MAX:
        raise OverflowError("beyond the guard's amounts")
    return f"{units:0{WIDTH}}"
