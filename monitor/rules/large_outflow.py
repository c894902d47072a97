"""`large_outflow`: more money than a threshold left, over a window or in one movement."""

from typing import ClassVar, Literal

from monitor.model.event import Direction
from monitor.rules.flow import FlowRule


class LargeOutflow(FlowRule):
    """`{type: large_outflow, above: 50_000, within: 1h}`"""

    direction: ClassVar[Direction] = "out"
    opposite: ClassVar[Direction] = "in"
    excess: ClassVar[bool] = True
    type: Literal["large_outflow"]
