"""balance-monitor: watches balances where they live and tells people in time."""

__version__ = "0.1.0"
