"""Histograms for a process with one thread, as cheap as counting can be."""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Tally:
    """Counts of what fell into each bucket, and the sum of all."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        # The last one is for what is above every bound.
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value; a bound belongs to its bucket."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def add_to(self, family: HistogramMetricFamily, values: tuple[str, ...]) -> None:
        """Describe it as Prometheus wants it: each bucket holds the smaller ones too."""
        names = (*map(floatToGoString, self._bounds), "+Inf")
        counts = (float(count) for count in accumulate(self._counts))
        family.add_metric(values, list(zip(names, counts, strict=True)), self._sum)


class Histogram(Collector):
    """A histogram for the single thread of an event loop.

    The client library's own takes two locks and walks the buckets: 0.6 µs against 0.2, four times a poll.
    """

    def __init__(self, name: str, meaning: str, labels: tuple[str, ...], bounds: tuple[float, ...]) -> None:
        self._about = name, meaning, labels
        self._bounds = bounds
        self._tallies: dict[tuple[str, ...], Tally] = {}

    def labels(self, *values: str) -> Tally:
        """The tally of these label values."""
        return self._tallies.setdefault(values, Tally(self._bounds))

    def describe(self) -> Iterator[HistogramMetricFamily]:
        """What the registry asks for once, to refuse two metrics of one name."""
        return self.collect()

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """What the registry asks for at every scrape."""
        name, meaning, labels = self._about
        family = HistogramMetricFamily(name, meaning, labels=labels)
        for values, tally in self._tallies.items():
            tally.add_to(family, values)
        yield family
