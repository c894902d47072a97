"""Time limits for what happens thousands of times a second.

`asyncio.timeout` starts and stops a timer of the event loop each time, which costs 4 µs of CPU with uvloop. Here one
timer ticks for all, as long as there is anything to limit: 0.8 µs.
"""

import asyncio
from asyncio import AbstractEventLoop, CancelledError, Task
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from monitor.clock import elapsed

#: How much later than it is over a time limit cancels what still waits, in seconds, if the event loop is not busy.
TICK = 0.01


class Deadlines:
    """The time limits of one event loop. `clock` counts seconds from anywhere."""

    def __init__(self, clock: Callable[[], float] = elapsed) -> None:
        self.clock = clock
        self._ticking = False
        self._running: set[Limit] = set()
        self._loop: AbstractEventLoop | None = None

    @classmethod
    def of_the_loop(cls) -> Self:
        """By the event loop's own clock, as `asyncio.timeout` has it: it stands still while the loop is busy."""
        found = cls(lambda: found.loop.time())  # noqa: PLW0108 - there may be no loop yet
        return found

    @property
    def loop(self) -> AbstractEventLoop:
        """The event loop, asked for once: that costs a system call, for each limit."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop

    def within(self, seconds: float) -> "Limit":
        """`with deadlines.within(0.25):` – past it what is awaited inside is cancelled, and the block raises
        TimeoutError. So does a block that ends well but too late, should the whole process have stood still."""
        return Limit(self, seconds)

    def start(self, limit: "Limit") -> None:
        """For a Limit only: look after it."""
        self._running.add(limit)
        if not self._ticking:
            self._ticking = True
            self.loop.call_later(TICK, self._tick)

    def stop(self, limit: "Limit") -> None:
        """For a Limit only: look after it no more."""
        self._running.discard(limit)

    def _tick(self) -> None:
        now = self.clock()
        for limit in [limit for limit in self._running if limit.ends <= now]:
            self._running.remove(limit)
            limit.cut()
        self._ticking = bool(self._running)
        if self._ticking:
            self.loop.call_later(TICK, self._tick)


class Limit:
    """One limit of one task, to be entered once. `ends` is when, by the clock of its deadlines."""

    __slots__ = ("_before", "_cut", "_deadlines", "_seconds", "_task", "ends")

    def __init__(self, deadlines: Deadlines, seconds: float) -> None:
        self._deadlines, self._seconds = deadlines, seconds
        self._cut = False

    def __enter__(self) -> Self:
        task = asyncio.current_task(self._deadlines.loop)
        assert task is not None, "only what a task awaits can be limited"
        self._task: Task[Any] = task
        self._before = task.cancelling()
        self.ends = self._deadlines.clock() + self._seconds
        self._deadlines.start(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._deadlines.stop(self)
        if self._cut and self._task.uncancel() > self._before:
            # Somebody else cancels the task as well: their wish is not a time limit.
            return
        if (self._cut and kind is CancelledError) or (kind is None and self._deadlines.clock() >= self.ends):
            raise TimeoutError from error

    def extend(self, seconds: float) -> None:
        """So much longer; too late once what waits is cancelled."""
        self.ends += seconds

    def cut(self) -> None:
        """For Deadlines only: the time is over."""
        self._cut = True
        self._task.cancel()
