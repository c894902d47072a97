"""`liquidation`: an event says that the account was liquidated."""

from typing import Literal

from pydantic import Field

from monitor.model.event import Event
from monitor.rules.happening import EventRule

Kind = Literal["market_liquidation", "backstop_liquidation", "adl_liquidation"]
#: The exchange sold this account's positions (market), or took them over with all collateral (backstop).
#: `adl_liquidation` is not among them: it closes the profitable side of somebody else's liquidation, so a
#: rule of its own, with its own severity, asks for it by name.
LIQUIDATIONS: tuple[Kind, ...] = ("market_liquidation", "backstop_liquidation")


class Liquidation(EventRule):
    """`{type: liquidation, severity: critical}`"""

    type: Literal["liquidation"]
    kinds: tuple[Kind, ...] = Field(default=LIQUIDATIONS, min_length=1, description="adl_liquidation only when named")

    def event_kinds(self) -> tuple[str, ...]:
        return self.kinds

    def fits(self, event: Event) -> bool:
        return event.kind in self.kinds
