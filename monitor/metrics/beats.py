"""What the process says to Prometheus of its heartbeats."""

from prometheus_client import CollectorRegistry

from monitor.metrics.family import Registered


class BeatMetrics(Registered):
    """Counts pings, in the registry of all metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self._pings = self._counter(
            "heartbeats_total",
            "Pings by outcome; failed: not taken, withheld: something does not work, so none was sent.",
            "outcome",
        )

    def pinged(self, *, ok: bool) -> None:
        """One was sent."""
        self._pings.add("ok" if ok else "failed")

    def withheld(self) -> None:
        """One was due and not sent."""
        self._pings.add("withheld")
