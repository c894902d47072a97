"""The first few of many, kept up with what changes: looking at them does not cost what there is."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import Any, Generic, TypeVar

T = TypeVar("T")
#: Kept in reserve, so that it is seldom that all must be looked through again.
KEPT = 64


@dataclass(slots=True)
class Leaders(Generic[T]):
    """The first of some things by a key that no two of them share. Each has a name.

    Everything whose key is not beyond `_last` is among those kept; None: everything is.
    """

    key: Callable[[T], Any]
    _kept: dict[str, T] = field(default_factory=dict)
    _last: Any = None

    def put(self, name: str, thing: T) -> None:
        """One more thing, of a name that is not there."""
        if self._last is None or self.key(thing) <= self._last:
            self._kept[name] = thing
            if len(self._kept) > 2 * KEPT:
                self.fill(tuple(self._kept.items()), closed=False)

    def drop(self, name: str) -> None:
        """One thing less."""
        self._kept.pop(name, None)

    def fill(self, things: Iterable[tuple[str, T]], *, closed: bool = True) -> None:
        """These are all there are; not `closed`: all that can be among the first."""
        first = nsmallest(KEPT + 1, things, key=lambda one: self.key(one[1]))
        whole = closed and len(first) <= KEPT
        self._kept = dict(first[:KEPT])
        self._last = None if whole else self.key(first[:KEPT][-1][1])

    def first(self, count: int) -> list[T] | None:
        """So many of them (at most KEPT) in order; None when that is not known: then `fill` it."""
        if self._last is not None and len(self._kept) < count:
            return None
        return sorted(self._kept.values(), key=self.key)[:count]
