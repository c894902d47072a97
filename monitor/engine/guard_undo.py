"""Takes back what may have been reserved for somebody who was not answered in time."""

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from monitor.engine.guardports import GuardStore, Meter
from monitor.engine.ports import Clock
from monitor.errors import StoreUnavailable
from monitor.guard.hold import Terms

#: Owed at once; what is more expires by itself, its id unrefused.
OWED_MAX = 10_000
#: Asked of the store together.
CHUNK = 32


class Undo(NamedTuple):
    """One decision that nobody heard of. From `until` on its hold has expired anyway."""

    caller: str
    hold: str
    decision: str
    until: datetime


_Owed = tuple[Undo, Terms]


class Undoing:
    """Refuses ids until the store has taken it, or their hold has expired. `bell` asks for `work` at once."""

    def __init__(self, store: GuardStore, clock: Clock, meter: Meter) -> None:
        self._store, self._clock, self._meter = store, clock, meter
        self.bell = asyncio.Event()
        self._owed: deque[_Owed] = deque()
        self._working = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._owed)

    def add(self, undo: Undo, terms: Terms) -> None:
        """This id is to be refused, and what was reserved for it given back."""
        if len(self._owed) >= OWED_MAX:
            self._meter.undone("forgotten")
            return
        self._owed.append((undo, terms))
        self.bell.set()

    async def work(self) -> None:
        """Do all that is owed. StoreUnavailable when the store does not answer; then what is left stays owed."""
        async with self._working:
            while self._owed:
                # Only what is done is taken off: whoever is cut short here leaves it owed.
                chunk = list(islice(self._owed, CHUNK))
                done = await asyncio.gather(*(self._undo(*each) for each in chunk), return_exceptions=True)
                self._settle(chunk, done)

    async def _undo(self, undo: Undo, terms: Terms) -> None:
        if self._clock() >= undo.until:
            self._meter.undone("expired")
            return
        await self._store.refuse_hold(undo.caller, undo.hold, undo.decision, terms, "HOLD_TOMBSTONED")
        self._meter.undone("refused")

    def _settle(self, chunk: Sequence[_Owed], done: Sequence[BaseException | None]) -> None:
        """What the store did not answer is owed still, in its order."""
        for _ in chunk:
            self._owed.popleft()
        failed = [(each, error) for each, error in zip(chunk, done, strict=True) if error is not None]
        self._owed.extendleft(each for each, error in reversed(failed) if isinstance(error, StoreUnavailable))
        if failed:
            raise failed[0][1]
