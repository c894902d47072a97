"""Routes that tell nothing at times: muted in some intervals, or active only in some."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from monitor.engine.calendar import TimeInterval, stretch
from monitor.engine.escalate import Escalations
from monitor.engine.route import Node
from monitor.model.group import Group, Hush
from monitor.model.record import Entry

#: Name → the intervals it stands for.
Intervals = Mapping[str, Sequence[TimeInterval]]
_NO_ESCALATIONS: Escalations = {}


@dataclass(frozen=True, slots=True)
class Mutes:
    """A source of suppression (`suppress.Source`). `nodes` are the routes of the configuration of now that have times,
    by channel and key: a group whose route is gone is muted by nothing."""

    nodes: Mapping[tuple[str, str], Node]
    intervals: Intervals

    @classmethod
    def of(cls, root: Node, intervals: Intervals, escalations: Escalations = _NO_ESCALATIONS) -> "Mutes":
        """Those of a tree of routes."""
        nodes: dict[tuple[str, str], Node] = {}
        for node in _all(root):
            later = (channel for step in escalations.get(node.escalate, ()) for channel in step.channels)
            for channel in (*node.channels, *later):
                # As alerts are routed: of two routes with the same matchers the first has the group.
                nodes.setdefault((channel, node.key), node)
        return cls({place: node for place, node in nodes.items() if node.mute or node.active is not None}, intervals)

    async def __call__(self, group: Group, entries: Sequence[Entry], now: datetime) -> Mapping[str, Hush]:
        """All of a group, or nothing of it."""
        node = self.nodes.get((group.channel, group.route))
        hush = self.hush(node, now) if node else None
        return dict.fromkeys((entry.id for entry in entries), hush) if hush else {}

    def hush(self, node: Node, now: datetime) -> Hush | None:
        """What a route's times say of this moment."""
        holding = [name for name in node.mute if stretch(self._of([name]), now)[0]]
        if holding:
            _, since, until = stretch(self._of(node.mute), now)
            return Hush("muted", since, until, why=", ".join(holding))
        if node.active is not None:
            inside, since, until = stretch(self._of(node.active), now)
            if not inside:
                return Hush("muted", since, until, why=f"outside of {', '.join(node.active)}")
        return None

    def _of(self, names: Sequence[str]) -> tuple[TimeInterval, ...]:
        return tuple(one for name in names for one in self.intervals.get(name, ()))


def _all(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _all(child)
