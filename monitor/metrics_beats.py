"""What the process says to Prometheus of its heartbeats."""

from prometheus_client import CollectorRegistry, Counter

from monitor.metrics_family import Family


class BeatMetrics:
    """Counts pings, in the registry of all metrics."""

    def __init__(self, registry: CollectorRegistry, prefix: str) -> None:
        self._pings = Family(
            Counter(
                f"{prefix}heartbeats_total",
                "Pings by outcome; failed: not taken, withheld: something does not work, so none was sent.",
                ("outcome",),
                registry=registry,
            )
        )

    def pinged(self, *, ok: bool) -> None:
        """One was sent."""
        self._pings["ok" if ok else "failed"].inc()

    def withheld(self) -> None:
        """One was due and not sent."""
        self._pings["withheld"].inc()
