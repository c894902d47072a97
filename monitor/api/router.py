"""Finds the endpoint for a path: one dictionary a segment."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import unquote

from monitor.api.route import Route


class Found(NamedTuple):
    """What stands at a path: its routes by method, and the values of the segments that are `{name}` in them."""

    routes: Mapping[str, Route]
    values: Mapping[str, str]


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

    def find(self, raw_path: str) -> Found | None:
        """By the path as it was sent. A `%2F` separates no segments; what is no UTF-8 is nowhere."""
        segments = raw_path.split("/")
        if "%" in raw_path:
            try:
                segments = [unquote(segment, errors="strict") for segment in segments]
            except UnicodeDecodeError:
                return None
        node, values = self._root, {}
        for segment in segments:
            child = node.literal.get(segment)
            if child is None:
                child = node.any
                if child is None or not segment:
                    return None
                values[child.name] = segment
            node = child
        return Found(node.routes, values) if node.routes else None


def _grow(node: _Node, segment: str) -> _Node:
    if not segment.startswith("{"):
        return node.literal.setdefault(segment, _Node())
    name = segment[1:-1]
    if node.any is None:
        node.any = _Node(name)
    assert node.any.name == name, f"one place in the path has two names, {node.any.name} and {name}"
    return node.any
