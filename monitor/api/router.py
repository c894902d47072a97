"""Finds the endpoint for a path: one dictionary a segment."""

from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote

from monitor.api.route import Route

#: What stands at a path: its routes by method, and the values of the segments that are `{name}` in them.
Found = tuple[Mapping[str, Route], Mapping[str, str]]


class _Node:
    """What can follow a beginning of a path: segments that are written so, or any one, which has a name."""

    __slots__ = ("any", "literal", "name", "routes")

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.literal: dict[str, _Node] = {}
        self.any: _Node | None = None
        self.routes: dict[str, Route] = {}


class Router:
    """All routes. Where a segment is written in one route and `{name}` in another, the written one is taken."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        for route in routes:
            node = self._root
            for segment in route.path.split("/"):
                node = _grow(node, segment)
            assert route.method not in node.routes, f"{route.method} {route.path} is there twice"
            node.routes[route.method] = route
            if route.method == "GET":
                node.routes["HEAD"] = route
        self._written = dict(_written(self._root))

    def find(self, raw_path: str) -> Found | None:
        """By the path as it was sent. A `%2F` separates no segments; what is no UTF-8 is nowhere."""
        # Most of a path is written so in its route: all but its last segment is found at once.
        begun, slash, last = raw_path.rpartition("/")
        node, segments = self._written.get(begun), [last]
        if node is None or not slash:
            node, segments = self._root, raw_path.split("/")
        if "%" in raw_path:
            try:
                segments = [unquote(segment, errors="strict") for segment in segments]
            except UnicodeDecodeError:
                return None
        values = {}
        for segment in segments:
            child = node.literal.get(segment)
            if child is None:
                child = node.any
                if child is None or not segment:
                    return None
                values[child.name] = segment
            node = child
        return (node.routes, values) if node.routes else None


def _grow(node: _Node, segment: str) -> _Node:
    if not segment.startswith("{"):
        return node.literal.setdefault(segment, _Node())
    name = segment[1:-1]
    if node.any is None:
        node.any = _Node(name)
    assert node.any.name == name, f"one place in the path has two names, {node.any.name} and {name}"
    return node.any


def _written(node: _Node, begun: str = "") -> Iterator[tuple[str, _Node]]:
    """What is found below without a `{name}`, by its path."""
    for segment, child in node.literal.items():
        yield begun + segment, child
        yield from _written(child, f"{begun}{segment}/")
