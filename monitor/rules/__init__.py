"""Every rule type. One file each, and one line in the union."""

from typing import Annotated

from pydantic import Field

from monitor.rules.base import RuleBase
from monitor.rules.event import AnyEvent
from monitor.rules.high_balance import HighBalance
from monitor.rules.large_inflow import LargeInflow
from monitor.rules.large_outflow import LargeOutflow
from monitor.rules.liquidation import Liquidation
from monitor.rules.low_balance import LowBalance
from monitor.rules.provider_down import ProviderDown
from monitor.rules.stale import Stale

AnyRule = Annotated[
    LowBalance | HighBalance | LargeOutflow | LargeInflow | Liquidation | AnyEvent | Stale | ProviderDown,
    Field(discriminator="type"),
]

#: Type as written in a rule file → its settings.
RULES: dict[str, type[RuleBase]] = {
    "low_balance": LowBalance,
    "high_balance": HighBalance,
    "large_outflow": LargeOutflow,
    "large_inflow": LargeInflow,
    "liquidation": Liquidation,
    "event": AnyEvent,
    "stale": Stale,
    "provider_down": ProviderDown,
}

__all__ = ["RULES", "AnyRule", "RuleBase"]
