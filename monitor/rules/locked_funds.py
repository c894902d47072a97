"""`locked_funds`: more money than a threshold is blocked, or is in processing."""

from typing import Literal

from pydantic import Field

from monitor.rules.ceiling import CeilingRule


class LockedFunds(CeilingRule):
    """`{type: locked_funds, above: 0, for: 15m}`: more is `locked`, or `held`, than that for longer than `for`."""

    type: Literal["locked_funds"]
    measure: Literal["locked", "held"] = Field(default="locked", description="blocked (AML), or in processing")
