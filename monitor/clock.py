"""What time it is. The only file that reads the process's clocks: everything else is given the time."""

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

#: A step back of the store's clock from this on was made on purpose, and is followed.
STEP = timedelta(seconds=2)
#: By so much the store's time may be old when it arrives; that it is behind ours says nothing then.
LATENCY = timedelta(milliseconds=50)


class FollowedClock:
    """The store's time, carried on by our own monotonic clock between its answers.

    Where it was ahead it stands still until the store has caught up, rather than step back by a little.
    """

    def __init__(self) -> None:
        self._ahead = time.time() - time.monotonic()
        self._latest = datetime.min.replace(tzinfo=UTC)

    def __call__(self) -> datetime:
        now = datetime.fromtimestamp(self._ahead + time.monotonic(), UTC)
        if now < self._latest:
            return self._latest
        self._latest = now
        return now

    def follow(self, store_now: datetime) -> None:
        """Take over what the store just said."""
        behind = self() - store_now
        if timedelta(0) <= behind < LATENCY:
            return
        if behind >= STEP:
            self._latest = store_now
        self._ahead = store_now.timestamp() - time.monotonic()


def elapsed() -> float:
    """Seconds from anywhere, for how long something takes: nobody sets this clock."""
    return time.monotonic()


#: Nanoseconds since this machine started, where that is known also while it slept: nobody sets this clock.
steady_ns: Callable[[], int] = (
    partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic_ns
)


def wall_clock() -> datetime:
    """The time of day: for log lines, and for commands that need no store."""
    return datetime.now(UTC)
