"""Routes that are sound and yet tell nobody: an earlier one takes all that they match, or they have no channel."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from monitor.config.mistakes import Finding, Steps, dotted
from monitor.engine.route import Route
from monitor.model.labels import ALWAYS_THERE, Match, is_glob, values_of


def dead_routes(route: Route, path: Steps = (), escalate: str = "") -> Iterator[Finding]:
    """(path below `route`, sentence) of what tells nobody; `escalate` is what the routes above say of it."""
    escalate = escalate if route.escalate is None else route.escalate
    if route.channels == () and path and not route.routes and not escalate:
        yield (*path, "channels"), "is empty: what this route takes is told to nobody"
    for index, child in enumerate(route.routes):
        here = (*path, "routes", index)
        earlier = ((at, one) for at, one in enumerate(route.routes[:index]) if not one.go_on)
        taker = next((at for at, one in earlier if covers(one.match, child.match)), None)
        if taker is None:
            yield from dead_routes(child, here, escalate)
        else:
            before = dotted(("route", *path, "routes", taker))
            yield here, f"takes no alert: {before} before it takes all that this one matches, and has no `continue`"


def covers(wide: Match, narrow: Match) -> bool:
    """Whether it is certain that whatever `narrow` matches, `wide` does."""
    return all(_covers(label, values_of(wanted), narrow) for label, wanted in wide.items())


def _covers(label: str, wanted: Sequence[str], narrow: Match) -> bool:
    if label in ALWAYS_THERE and "*" in wanted:
        return True
    return label in narrow and all(_taken(value, wanted) for value in values_of(narrow[label]))


def _taken(value: str, wanted: Sequence[str]) -> bool:
    """Whether one of these values takes all that this one does, as far as that is plain to see."""
    if value in wanted:
        return True
    if not value:
        # That a label is absent no glob matches.
        return False
    return "*" in wanted or (not is_glob(value) and any(fnmatchcase(value, one) for one in wanted))
