"""What this process has to report of itself: kept until it is over, and renewed in the store meanwhile."""

import asyncio
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self

from monitor.engine.ports import Clock, PollStore
from monitor.engine.watch import MONITOR, STORE_PROVIDER
from monitor.model.report import Report
from monitor.redact import redact

#: Reports are renewed this often, and count for so long: one of a process that died ends by itself.
REPORT_EVERY, COUNTS_FOR = timedelta(seconds=5), timedelta(minutes=1)
#: Reports of one name that are kept at once, and the longest text of one.
SAME_MAX, WHY_MAX = 100, 500
#: Mistakes told of a configuration that was refused.
MISTAKES_MAX = 3


@dataclass(slots=True)
class Concerns:
    """The conditions of one process; `process` is its name among all. `bell` asks for `tell` at once."""

    clock: Clock
    process: str
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    _held: dict[tuple[str, str], Report] = field(default_factory=dict)
    _ends: dict[tuple[str, str], datetime] = field(default_factory=dict)
    _over: dict[tuple[str, str], Report] = field(default_factory=dict)

    @classmethod
    def here(cls, clock: Clock) -> Self:
        """Of this process, named by its host and its number there."""
        return cls(clock, f"{socket.gethostname()}:{os.getpid()}")

    def report(self, name: str, why: str, *, about: str = "", lasts: timedelta | None = None) -> None:
        """This is so from now on: until it is settled, or for as long as it lasts after it was last said."""
        key, now, why = (name, about), self.clock(), redact(why)[:WHY_MAX]
        known = self._held.get(key)
        if known is None and sum(held == name for held, _ in self._held) >= SAME_MAX:
            return
        if lasts is not None:
            self._ends[key] = now + lasts
        if known is None or known.why != why:
            first = now if known is None else known.since
            self._held[key] = Report(name, self.process, since=first, until=now, why=why, about=about)
            self._over.pop(key, None)
            self.bell.set()

    def settle(self, *names: str, about: str | None = None) -> None:
        """Nothing of these names is so any more, or only what is `about` that."""
        self._end(key for key in self._held if key[0] in names and about in (None, key[1]))

    def abouts(self, name: str) -> tuple[str, ...]:
        """What is being reported under this name is about these."""
        return tuple(about for held, about in self._held if held == name)

    async def tell(self, store: PollStore) -> None:
        """Bring the store up to date, and have it judged. Raises StoreUnavailable; then nothing is forgotten."""
        now = self.clock()
        self._end(key for key, at in self._ends.items() if at <= now)
        held = [replace(report, until=now + COUNTS_FOR) for report in self._held.values()]
        over = dict(self._over)
        if not held and not over:
            return
        await store.withdraw(tuple(over.values()))
        await store.report(held)
        await store.poll_now(STORE_PROVIDER, MONITOR)
        self._over = {key: report for key, report in self._over.items() if key not in over}

    def _end(self, keys: Iterable[tuple[str, str]]) -> None:
        for key in tuple(keys):
            self._over[key] = self._held.pop(key)
            self._ends.pop(key, None)
            self.bell.set()


def first_of(mistakes: list[str]) -> str:
    """The first mistakes of a configuration, and how many more there are."""
    more = len(mistakes) - MISTAKES_MAX
    return "; ".join([*mistakes[:MISTAKES_MAX], *([f"and {more} more"] if more > 0 else [])])
