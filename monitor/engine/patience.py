"""One time limit for many things that happen at once, at the price of a single timer."""

import asyncio
from types import TracebackType


class Patience:
    """`with patience.wait(): …` raises TimeoutError once the body has taken longer than `seconds`.

    What `asyncio.timeout` does, to the same instant. But a timer of the event loop costs 3 µs, at every poll,
    and nearly none ever rings. All limits being equal, whoever began first is overdue first, so one timer
    that is set to the oldest is enough.
    """

    __slots__ = ("_bell", "_waits", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        #: Oldest first.
        self._waits: dict[_Wait, None] = {}
        self._bell: asyncio.TimerHandle | None = None

    def wait(self) -> "_Wait":
        """Begin one wait with `with`, within a task."""
        return _Wait(self)

    def begin(self, wait: "_Wait", loop: asyncio.AbstractEventLoop) -> None:
        """Watch a wait that begins now."""
        self._waits[wait] = None
        if self._bell is None:
            self._bell = loop.call_at(wait.until, self._ring, loop)

    def end(self, wait: "_Wait") -> None:
        """Watch it no more. The timer stays: it is moved on when it rings."""
        self._waits.pop(wait, None)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self._bell = None
        for wait in list(self._waits):
            if wait.until > loop.time():
                self._bell = loop.call_at(wait.until, self._ring, loop)
                return
            del self._waits[wait]
            wait.expire()


class _Wait:
    """One wait, in the task that began it."""

    __slots__ = ("_cancelling", "_expired", "_patience", "_task", "until")

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._expired = False

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None, "only a task can be cut short"
        self._task = task
        self._cancelling = task.cancelling()
        self.until = loop.time() + self._patience.seconds
        self._patience.begin(self, loop)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._patience.end(self)
        # A cancellation from outside, at the same moment or not, is none of ours: it goes on.
        if self._expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def expire(self) -> None:
        """Too late: interrupt the body at its next await."""
        self._expired = True
        self._task.cancel()
