"""What an account's record remembers of the windows that its rules look back on. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from monitor.engine.extremes import remember
from monitor.engine.rings import count
from monitor.model.event import Event
from monitor.model.extremes import Steps
from monitor.model.record import Answer, Need, Record
from monitor.model.snapshot import Change
from monitor.model.window import Coverage, Flow
from monitor.rules.base import RuleBase


class Windows(NamedTuple):
    """Rings by name: sums of what moved, what is known of assets without one, and values that were left."""

    flows: Mapping[str, Flow]
    coverage: Mapping[str, Coverage]
    extremes: Mapping[str, Steps]


def look_back(
    record: Record,
    answer: Answer,
    changes: tuple[Change, ...],
    events: tuple[Event, ...],
    rules: tuple[RuleBase, ...],
    now: datetime,
    recorded: tuple[Event, ...] | None,
) -> Windows | Need:
    """The windows knowing this poll; Need when some must be rebuilt from the stored events."""
    counted = count(record, answer.snapshot, events, changes, rules, now, recorded)
    if isinstance(counted, Need):
        return counted
    return Windows(*counted, remember(record.extremes, changes, rules, now))
