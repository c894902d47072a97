"""Whether the clock of a store's server was set forward, by its answers and by a clock of ours that nobody sets.

A call was sent and heard at two times of ours, and its answer says the store's time in between. So at that instant the
store was ahead of us by no more than its time less when we sent, and by no less than its time less when we heard. Where
the least is more than the most was by what we had heard when we sent, it has gained time in between: however slow the
calls were, in whatever order they are heard, and whoever was stopped.
Source: F. Cristian, Probabilistic clock synchronization, 1989, https://doi.org/10.1007/BF01784024
"""

from datetime import timedelta

from monitor.clock import STEP

_STEP_US = STEP // timedelta(microseconds=1)
#: For so long of our time the same is said: that costs a third of saying it anew.
_SAID_NS = 50_000_000
#: What is said while nothing is known.
_EVER = b"9" * 16


def _hurried(steady_ns: int) -> int:
    """A time of ours in microseconds, by a clock that gains a millisecond a second.

    The store's falls behind this one as long as it is only disciplined: servers that keep time drift by less. What
    gains more, for so long that it makes a STEP, ends holds as early as a step does.
    """
    return steady_ns * 1001 // 1_000_000


class Reckoning:
    """By how much the server of one partition was ahead of us at most.

    Times of ours are in nanoseconds, the store's in microseconds. `said_at` is when `latest` was made: only what is
    answered to that call need be heard.
    """

    __slots__ = ("_ahead", "_latest", "said_at")

    def __init__(self) -> None:
        self._ahead: int | None = None
        self._latest, self.said_at = _EVER, 0

    def latest(self, sent: int) -> bytes:
        """The store's time at most, some STEP after a call is sent now, as a text of 16 digits."""
        if sent - self.said_at >= _SAID_NS or self._latest is _EVER:
            self.said_at = sent
            if self._ahead is not None:
                self._latest = b"%016d" % (self._ahead + _hurried(sent + _SAID_NS) + _STEP_US)
        return self._latest

    def heard(self, sent: int, now_us: int) -> None:
        """What the store said its time was, of a call that was sent then."""
        ahead = now_us - _hurried(sent)
        if self._ahead is None or ahead < self._ahead:
            self._ahead = ahead

    def gained(self, sent: int, heard: int, now_us: int, latest: bytes) -> int:
        """By how many microseconds the store was set forward at least, as an answer proves; 0 where it need not have
        been, by less than some STEP, or that was dealt with since. `latest` is what was said in the call."""
        most = int(latest) - _hurried(sent)
        if now_us - _hurried(heard) <= most or self._ahead is None or self._ahead > most - _STEP_US:
            return 0
        return now_us - _hurried(heard) - most + _STEP_US

    def begin(self, sent: int, now_us: int) -> None:
        """It was set forward, and that is dealt with: from now on its new time counts."""
        self._ahead = now_us - _hurried(sent)
        self._latest = _EVER
