"""What the guard cannot take."""

from collections.abc import Sequence

from monitor.errors import MonitorError


class AmountInvalid(MonitorError):
    """Not an amount at all."""


class AmountImprecise(MonitorError):
    """An amount with more decimals than the guard counts."""


class DeadlineExceeded(MonitorError):
    """There was no answer in time: nobody may bet on it."""


class SeveralNetworks(MonitorError):
    """An asset without its network, which the account has on several: nothing was decided."""

    def __init__(self, asset: str, networks: Sequence[str]) -> None:
        super().__init__(f"asset {asset} is on several networks: {', '.join(networks)}")
