"""`large_inflow`: more money than a threshold arrived, over a window or in one movement."""

from typing import ClassVar, Literal

from monitor.model.event import Direction
from monitor.rules.flow import FlowRule


class LargeInflow(FlowRule):
    """`{type: large_inflow, above: 25%, within: 24h}`"""

    direction: ClassVar[Direction] = "in"
    opposite: ClassVar[Direction] = "out"
    type: Literal["large_inflow"]
