"""What an account's record remembers of the windows that its rules look back on. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from monitor.engine.extremes import remember
from monitor.engine.movements import Moved
from monitor.engine.residuals import account_for
from monitor.engine.rings import count
from monitor.model.extremes import Steps
from monitor.model.record import Answer, Need, Record
from monitor.model.residual import Opens
from monitor.model.snapshot import Change
from monitor.model.window import Coverage, Flow
from monitor.rules.base import RuleBase


class Windows(NamedTuple):
    """By name: sums of what moved, what is known of assets without one, values that were left, and what the ledger
    has not explained."""

    flows: Mapping[str, Flow]
    coverage: Mapping[str, Coverage]
    extremes: Mapping[str, Steps]
    residuals: Mapping[str, Opens]


def unmoved(record: Record) -> Windows:
    """The windows as they are."""
    return Windows(record.flows, record.coverage, record.extremes, record.residuals)


def look_back(
    record: Record,
    answer: Answer,
    changes: tuple[Change, ...],
    moved: Moved,
    rules: tuple[RuleBase, ...],
    now: datetime,
) -> Windows | Need:
    """The windows knowing this poll; Need when some must be rebuilt from the stored events."""
    counted = count(record, answer.snapshot, moved, changes, rules, now)
    if isinstance(counted, Need):
        return counted
    extremes = remember(record.extremes, changes, rules, now)
    return Windows(*counted, extremes, account_for(record, answer, changes, moved, rules, now))
