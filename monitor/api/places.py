"""Who is connected at the same time, and who goes where there is no room for another.

A process that has as many files open as it may takes no connection and makes none: not to its store either.
"""

import sys
from collections.abc import Callable
from typing import Literal, Protocol

#: Connections at once, and where the system does not say how many files a process may have open.
PLACES_MAX, PLACES_UNKNOWN = 2_048, 512
#: Of the files that it may have open so many are connections to the API; the others are its own.
_PART = 2

#: Whoever was hung up on: somebody who has shown no token, or all others had and nobody else was let in.
Dropped = Literal["stranger", "newcomer"]


class Guest(Protocol):
    """A connection."""

    def abort(self) -> None:
        """Hang up at once."""
        ...


def room() -> int:
    """How many connections this process has room for."""
    if sys.platform == "win32":
        return PLACES_UNKNOWN
    import resource  # noqa: PLC0415 - not there on Windows

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return PLACES_MAX if files == resource.RLIM_INFINITY else max(1, min(PLACES_MAX, files // _PART))


class Places:
    """So many connections, and no more. `dropped` hears who was hung up on."""

    def __init__(self, most: int, dropped: Callable[[Dropped], None]) -> None:
        self.most, self._dropped = most, dropped
        self._strangers: dict[Guest, None] = {}
        self._known: set[Guest] = set()

    def enter(self, guest: Guest) -> None:
        """Somebody has connected; where there is no room the stranger goes who was here first, or else the newcomer."""
        if len(self._strangers) + len(self._known) >= self.most:
            oldest = next(iter(self._strangers), None)
            self._dropped("newcomer" if oldest is None else "stranger")
            if oldest is None:
                guest.abort()
                return
            del self._strangers[oldest]
            oldest.abort()
        self._strangers[guest] = None

    def know(self, guest: Guest) -> None:
        """It has shown that it may ask: it stays, whoever else comes."""
        if guest in self._strangers:
            del self._strangers[guest]
            self._known.add(guest)

    def leave(self, guest: Guest) -> None:
        """It has hung up, or was hung up on."""
        self._strangers.pop(guest, None)
        self._known.discard(guest)
