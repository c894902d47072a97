"""Who is told: a tree of routes as in Alertmanager, compiled once into a pure function.

An alert enters at the root and goes down into the first child that matches, and on into later siblings only
where `continue` says so. Where no child takes it, the node itself does: the deepest match wins.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Self

from pydantic import ConfigDict, Field, model_validator

from monitor.engine.escalate import Escalations, Step
from monitor.fields import Duration, Section, suggestion
from monitor.model.event import digest
from monitor.model.labels import Labels, compile_match, values_of
from monitor.model.target import Target
from monitor.rules.self_alert import NOTIFICATION_FAILING

Router = Callable[[Labels], tuple[Target, ...]]

#: In `group_by`: every label, so that each subject is a group of its own.
EVERY_LABEL = "..."
#: Deeper than any hand-written tree; a bound for what validation and compilation recurse into.
DEPTH_MAX = 32
#: A reminder more often than this is a flood, and zero would never end.
REPEAT_MIN = timedelta(seconds=1)
_NO_ESCALATIONS: Escalations = {}


class Route(Section):
    """`{match: {severity: critical}, channels: [ops], group_wait: 0s}`: the rest is the parent's."""

    model_config = ConfigDict(populate_by_name=True)

    channels: tuple[str, ...] | None = Field(default=None, description="default at the root: every channel")
    match: Mapping[str, str | tuple[str, ...]] = Field(default_factory=dict, description="label → value, list, or glob")
    go_on: bool = Field(default=False, alias="continue", description="also try the siblings after this one")
    group_by: tuple[str, ...] | None = Field(default=None, description="default: rule, provider; '...' for every label")
    group_wait: Duration | None = Field(default=None, description="before a new group is first told; default 10s")
    group_interval: Duration | None = Field(default=None, description="between messages of a group; default 1m")
    repeat_interval: Duration | None = Field(default=None, description="between reminders; default 4h")
    mute: tuple[str, ...] = Field(
        default=(), description="names of `time_intervals` in which this route tells nothing; not inherited"
    )
    active: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="names of `time_intervals` outside of which it tells nothing; not inherited",
    )
    escalate: str | None = Field(
        default=None, description="name in `escalations`: who is told when nobody acknowledges; '' for nobody"
    )
    routes: "tuple[Route, ...]" = ()

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.repeat_interval is not None and self.repeat_interval < REPEAT_MIN:
            raise ValueError("repeat_interval must be at least 1s")
        if self.depth() > DEPTH_MAX:
            raise ValueError(f"routes are nested more than {DEPTH_MAX} deep")
        return self

    def depth(self) -> int:
        """How many levels this tree has."""
        return 1 + max((child.depth() for child in self.routes), default=0)

    def mistakes(
        self, channels: Sequence[str], intervals: Sequence[str] = (), path: tuple[str | int, ...] = ()
    ) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """What is wrong with this tree beyond its shape: (path below `route`, sentence), for `check`."""
        if not path and (self.match or self.go_on):
            yield ("match" if self.match else "continue",), "the root route takes every alert"
        if not path and self.channels == ():
            yield ("channels",), "the root route needs a channel, else alerts would reach nobody"
        for index, name in enumerate(self.channels or ()):
            if name not in channels:
                known = ", ".join(channels) or "none is configured"
                yield (*path, "channels", index), f"there is no channel {name!r} ({known})"
        for key, names in (("mute", self.mute), ("active", self.active or ())):
            if names and not path:
                yield (key,), "the root route takes every alert at any time; put it into one of its `routes`"
            for index, name in enumerate(names):
                if name not in intervals:
                    what = f"there is no {name!r} in `time_intervals`{suggestion(name, intervals)}"
                    yield (*path, key, index), what
        for index, child in enumerate(self.routes):
            yield from child.mistakes(channels, intervals, (*path, "routes", index))


@dataclass(frozen=True, slots=True)
class Node:
    """A route with all it inherits. `key` names it by its matchers: reordering siblings moves no group."""

    channels: tuple[str, ...]
    group_by: tuple[str, ...]
    wait: timedelta
    interval: timedelta
    repeat: timedelta
    key: str
    matches: Callable[[Labels], bool]
    go_on: bool = False
    mute: tuple[str, ...] = ()
    active: tuple[str, ...] | None = None
    #: The name of its escalation, empty for none.
    escalate: str = ""
    children: "tuple[Node, ...]" = ()


def compile_route(
    route: Route | None,
    channels: Sequence[str],
    escalations: Escalations = _NO_ESCALATIONS,
    fallback: str | None = None,
) -> Router:
    """The router of a configuration; without `route` every alert goes to every channel.

    Pure, and its groups are stable over restarts: a target's `group` is a hash of channel, route and labels. That a
    channel is failing goes to `fallback` besides, and never to that channel.
    """
    root = tree(route, channels)

    def router(labels: Labels) -> tuple[Target, ...]:
        targets: dict[tuple[str, str], Target] = {}
        nodes = tuple(_taking(root, labels))
        for node in nodes:
            for target in _targets(node, labels):
                targets.setdefault((target.channel, target.group), target)
        told = tuple(targets.values())
        told += tuple(_later(nodes, escalations, labels, {target.channel for target in told}))
        if labels.get("rule") == NOTIFICATION_FAILING:
            return tuple(_elsewhere(root, told, labels, fallback, channels))
        return told

    return router


def tree(route: Route | None, channels: Sequence[str]) -> Node:
    """The root with all below it."""
    defaults = Node(
        channels=tuple(channels),
        group_by=("rule", "provider"),
        wait=timedelta(seconds=10),
        interval=timedelta(minutes=1),
        repeat=timedelta(hours=4),
        key="",
        matches=compile_match({}),
    )
    return _inherit(route or Route(), defaults)


def _inherit(route: Route, parent: Node) -> Node:
    node = Node(
        channels=parent.channels if route.channels is None else route.channels,
        group_by=parent.group_by if route.group_by is None else route.group_by,
        wait=parent.wait if route.group_wait is None else route.group_wait,
        interval=parent.interval if route.group_interval is None else route.group_interval,
        repeat=parent.repeat if route.repeat_interval is None else route.repeat_interval,
        key=_key(parent.key, route),
        matches=compile_match(route.match),
        go_on=route.go_on,
        mute=route.mute,
        active=route.active,
        escalate=parent.escalate if route.escalate is None else route.escalate,
    )
    return replace(node, children=tuple(_inherit(child, node) for child in route.routes))


def _key(parent: str, route: Route) -> str:
    parts = [parent]
    for label, wanted in sorted(route.match.items()):
        parts += [label, digest(*sorted(values_of(wanted)))]
    return digest(*parts)


def _taking(node: Node, labels: Labels) -> Iterator[Node]:
    """The deepest nodes that take this alert, in the order of the file."""
    taken = False
    for child in node.children:
        if child.matches(labels):
            taken = True
            yield from _taking(child, labels)
            if not child.go_on:
                break
    if not taken:
        yield node


def _targets(node: Node, labels: Labels, step: Step | None = None) -> Iterator[Target]:
    """The groups that a node, or a step of its escalation, puts an alert into."""
    by = tuple(labels) if EVERY_LABEL in node.group_by else node.group_by
    named = {label: labels[label] for label in by if labels.get(label)}
    parts = [part for item in sorted(named.items()) for part in item]
    # The names as well: grouped by [rule] and by [rule, team] differ even where nobody has a team.
    names = digest(*sorted(set(node.group_by)))
    marks = () if step is None else ("escalation", node.escalate, str(step.after))
    for channel in dict.fromkeys(node.channels if step is None else step.channels):
        group = digest(channel, node.key, names, *marks, *parts)
        wait, after = (node.wait, None) if step is None else (timedelta(0), step.after)
        yield Target(channel, group, named, wait, node.interval, node.repeat, node.key, after)


def _later(nodes: Iterable[Node], escalations: Escalations, labels: Labels, told: set[str]) -> Iterator[Target]:
    """The steps of the nodes' escalations, soonest first, but for channels that are told before."""
    steps = [(step, node) for node in nodes for step in escalations.get(node.escalate, ())]
    for step, node in sorted(steps, key=lambda one: one[0].after):
        for target in _targets(node, labels, step):
            if target.channel not in told:
                told.add(target.channel)
                yield target


def _elsewhere(
    root: Node, told: Iterable[Target], labels: Labels, fallback: str | None, channels: Sequence[str]
) -> Iterator[Target]:
    """Where it is told that a channel is failing: not there. Somebody is told, if there is any other channel."""
    failing = labels.get("channel", "")
    kept = [target for target in told if target.channel != failing]
    at_once = [target for target in kept if target.after is None]
    if fallback is not None and fallback not in {failing, *(target.channel for target in at_once)}:
        at_once += _targets(replace(root, channels=(fallback,)), labels)
    elif not at_once:
        others = [name for name in root.channels if name != failing] or [name for name in channels if name != failing]
        at_once += _targets(replace(root, channels=tuple(others)), labels)
    yield from at_once
    hear = {target.channel for target in at_once}
    yield from (target for target in kept if target.after is not None and target.channel not in hear)
