"""Cross-checks of who is told: channels and escalations by their names, and the fallback."""

from collections.abc import Iterable, Iterator, Sequence

from monitor.config.mistakes import Finding, Steps
from monitor.engine.escalate import Escalations
from monitor.engine.route import Route
from monitor.fields import suggestion


def mistakes(
    route: Route | None, escalations: Escalations, fallback: str | None, channels: Sequence[str]
) -> Iterator[Finding]:
    """Names of channels and escalations that there are not: (path, sentence)."""
    for name, steps in escalations.items():
        for index, step in enumerate(steps):
            for place, channel in enumerate(step.channels):
                if channel not in channels:
                    yield ("escalations", name, index, "channels", place), _no_channel(channel, channels)
    if fallback is not None and fallback not in channels:
        yield ("fallback_channel",), _no_channel(fallback, channels)
    for path, node in _nodes(route):
        if node.escalate and node.escalate not in escalations:
            known = ", ".join(escalations) or "none is configured"
            near = suggestion(node.escalate, escalations) or f" ({known})"
            yield (*path, "escalate"), f"there is no escalation {node.escalate!r}{near}"


def doubts(
    route: Route | None, escalations: Escalations, fallback: str | None, channels: Sequence[str]
) -> Iterator[Finding]:
    """What is sound and tells nobody more."""
    used = {node.escalate for _, node in _nodes(route)}
    for name in escalations:
        if name not in used:
            yield ("escalations", name), "no route has `escalate: " + name + "`"
    if fallback is not None and list(channels) == [fallback]:
        yield ("fallback_channel",), "is the only channel: when it fails, nobody is told"
    if route is not None:
        yield from _told_anyway(route, escalations, tuple(channels), "", ("route",))


def _told_anyway(
    route: Route, escalations: Escalations, above: tuple[str, ...], inherited: str, path: Steps
) -> Iterator[Finding]:
    channels = above if route.channels is None else route.channels
    escalate = inherited if route.escalate is None else route.escalate
    if route.escalate is not None or route.channels is not None:
        steps = escalations.get(escalate, ())
        if steps and all(channel in channels for step in steps for channel in step.channels):
            key = "channels" if route.escalate is None else "escalate"
            yield (*path, key), f"escalation {escalate!r} tells nobody whom the route does not tell at once"
    for index, child in enumerate(route.routes):
        yield from _told_anyway(child, escalations, channels, escalate, (*path, "routes", index))


def _nodes(route: Route | None, path: Steps = ("route",)) -> Iterator[tuple[Steps, Route]]:
    if route is None:
        return
    yield path, route
    for index, child in enumerate(route.routes):
        yield from _nodes(child, (*path, "routes", index))


def _no_channel(name: str, channels: Iterable[str]) -> str:
    names = list(channels)
    known = ", ".join(names) or "none is configured"
    return f"there is no channel {name!r}{suggestion(name, names) or f' ({known})'}"
