"""Every rule type. One file each, and one line in the union."""

from typing import Annotated

from pydantic import Field

from monitor.fields import by_type
from monitor.rules.balance_change import BalanceChange
from monitor.rules.base import RuleBase
from monitor.rules.event import AnyEvent
from monitor.rules.expression import Expression
from monitor.rules.high_balance import HighBalance
from monitor.rules.large_inflow import LargeInflow
from monitor.rules.large_outflow import LargeOutflow
from monitor.rules.liquidation import Liquidation
from monitor.rules.locked_funds import LockedFunds
from monitor.rules.low_balance import LowBalance
from monitor.rules.provider_down import ProviderDown
from monitor.rules.runway import Runway
from monitor.rules.stale import Stale
from monitor.rules.unexplained_change import UnexplainedChange

AnyRule = Annotated[
    LowBalance
    | HighBalance
    | LockedFunds
    | BalanceChange
    | LargeOutflow
    | LargeInflow
    | Liquidation
    | AnyEvent
    | Expression
    | Runway
    | UnexplainedChange
    | Stale
    | ProviderDown,
    Field(discriminator="type"),
]

#: Type as written in a rule file → its settings.
RULES: dict[str, type[RuleBase]] = by_type(AnyRule)

__all__ = ["RULES", "AnyRule", "RuleBase"]
