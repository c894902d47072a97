"""Metrics in a registry of their own. What is counted thousands of times a second is not the library's."""

import math
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

PREFIX = "balance_monitor_"


class Family(dict[str | tuple[str, ...], Gauge]):
    """Label value (or values) → the gauge's child: finding it anew costs four times as much as using it."""

    def __init__(self, metric: Gauge) -> None:
        super().__init__()
        self._metric = metric

    def __missing__(self, values: str | tuple[str, ...]) -> Gauge:
        child = self._metric.labels(*((values,) if isinstance(values, str) else values))
        self[values] = child
        return child


class Count(Collector):
    """A counter that one thread counts, at a quarter of the library's price."""

    def __init__(self, name: str, meaning: str, registry: CollectorRegistry, *labels: str) -> None:
        self._name, self._meaning, self._labels = name, meaning, labels
        #: Values of the labels → how often.
        self._counts: dict[tuple[str, ...], int] = {} if labels else {(): 0}
        registry.register(self)

    def add(self, *labels: str, by: int = 1) -> None:
        """One more, or so many."""
        self._counts[labels] = self._counts.get(labels, 0) + by

    def describe(self) -> Iterator[CounterMetricFamily]:
        """For the registry, which refuses a name that is there already."""
        return self.collect()

    def collect(self) -> Iterator[CounterMetricFamily]:
        """See Collector."""
        family = CounterMetricFamily(self._name, self._meaning, labels=self._labels)
        for labels, count in self._counts.items():
            family.add_metric(labels, count)
        yield family


class Distribution(Collector):
    """A histogram that one thread observes, at a quarter of the library's price: what is cumulative is summed up when
    somebody asks."""

    def __init__(
        self, name: str, meaning: str, bounds: tuple[float, ...], registry: CollectorRegistry, *labels: str
    ) -> None:
        self._name, self._meaning, self._bounds, self._labels = name, meaning, bounds, labels
        #: Values of the labels → how often by bound, beyond the last one, and the sum.
        self._tallies: dict[tuple[str, ...], list[float]] = {}
        if not labels:
            self._tally(())
        registry.register(self)

    def observe(self, value: float, *labels: str) -> None:
        """One more."""
        tally = self._tallies.get(labels) or self._tally(labels)
        tally[bisect_left(self._bounds, value)] += 1
        tally[-1] += value

    def _tally(self, labels: tuple[str, ...]) -> list[float]:
        tally = self._tallies[labels] = [0.0] * (len(self._bounds) + 2)
        return tally

    def describe(self) -> Iterator[HistogramMetricFamily]:
        """For the registry, which refuses a name that is there already."""
        return self.collect()

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """See Collector."""
        names = [floatToGoString(bound) for bound in (*self._bounds, math.inf)]  # type: ignore[no-untyped-call]
        family = HistogramMetricFamily(self._name, self._meaning, labels=self._labels)
        for labels, (*counts, total) in self._tallies.items():
            family.add_metric(labels, list(zip(names, accumulate(counts), strict=True)), total)
        yield family


class Registered:
    """Makes metrics in one registry; their names begin alike."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry

    def _counter(self, name: str, meaning: str, *labels: str) -> Count:
        return Count(f"{PREFIX}{name}", meaning, self.registry, *labels)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(f"{PREFIX}{name}", meaning, labels, registry=self.registry)

    def _distribution(self, name: str, meaning: str, bounds: tuple[float, ...], *labels: str) -> Distribution:
        return Distribution(f"{PREFIX}{name}", meaning, bounds, self.registry, *labels)
