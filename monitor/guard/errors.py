"""What the guard cannot take."""

from monitor.errors import MonitorError


class AmountInvalid(MonitorError):
    """Not an amount at all."""


class AmountImprecise(MonitorError):
    """An amount with more decimals than the guard counts."""
