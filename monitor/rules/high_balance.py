"""`high_balance`: a measure is above a threshold."""

from typing import Literal

from monitor.rules.ceiling import CeilingRule


class HighBalance(CeilingRule):
    """`{type: high_balance, above: 1_000_000, resolve_below: 900_000}`, or `levels` of them."""

    type: Literal["high_balance"]
