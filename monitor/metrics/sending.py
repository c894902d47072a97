"""What a process says of its deliveries."""

from datetime import timedelta
from typing import Literal

from monitor.metrics.family import Family, Registered

DeliveryOutcome = Literal["ok", "deferred", "dead"]

#: From the news to the destination's answer: grouping and retries are in it, so it reaches to hours.
_LATENCY = (0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1_800, 7_200)


class Sending(Registered):
    """Methods are named for what has just happened."""

    def _delivering(self) -> None:
        self._deliveries = self._counter(
            "deliveries_total",
            "Attempts to deliver; deferred: tried again later, dead: never again.",
            "channel",
            "outcome",
        )
        self._latency = self._distribution(
            "delivery_latency_seconds",
            "From a message's oldest news to its arrival, grouping included.",
            _LATENCY,
            "channel",
        )
        self._dead = Family(self._gauge("dead_letters", "Notifications given up and kept for replay.", "channel"))
        self._failing = Family(self._gauge("channel_failing", "1 while a channel takes no messages.", "channel"))

    def attempted(self, channel: str, outcome: DeliveryOutcome, latency: timedelta | None = None) -> None:
        """A delivery was tried; `latency` when it arrived."""
        self._deliveries.add(channel, outcome)
        if latency is not None:
            self._latency.observe(max(0.0, latency.total_seconds()), channel)

    def dead_letters(self, channel: str, count: int) -> None:
        """A channel keeps so many dead notifications."""
        self._dead[channel].set(count)

    def channel_failing(self, channel: str, *, failing: bool) -> None:
        """A channel takes messages, or does not."""
        self._failing[channel].set(1 if failing else 0)
