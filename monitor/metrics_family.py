"""Metrics in a registry of their own, with children that are bound once."""

import math
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

PREFIX = "balance_monitor_"

_Metric = TypeVar("_Metric", bound=MetricWrapperBase)


class Family(dict[str | tuple[str, ...], _Metric], Generic[_Metric]):
    """Label value (or values) → the metric's child: finding it anew costs four times as much as using it."""

    def __init__(self, metric: _Metric) -> None:
        super().__init__()
        self._metric = metric

    def __missing__(self, values: str | tuple[str, ...]) -> _Metric:
        child = self._metric.labels(*((values,) if isinstance(values, str) else values))
        self[values] = child
        return child


class Distribution(Collector):
    """A histogram without labels that one thread observes, at a quarter of the library's price: what is cumulative is
    summed up when somebody asks."""

    def __init__(self, name: str, meaning: str, bounds: tuple[float, ...], registry: CollectorRegistry) -> None:
        self._name, self._meaning, self._bounds = name, meaning, bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        registry.register(self)

    def observe(self, value: float) -> None:
        """One more."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def describe(self) -> Iterator[HistogramMetricFamily]:
        """For the registry, which refuses a name that is there already."""
        return self.collect()

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """See Collector."""
        names = [floatToGoString(bound) for bound in (*self._bounds, math.inf)]  # type: ignore[no-untyped-call]
        buckets = list(zip(names, map(float, accumulate(self._counts)), strict=True))
        yield HistogramMetricFamily(self._name, self._meaning, buckets=buckets, sum_value=self._sum)


class Registered:
    """Makes metrics in one registry; their names begin alike."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"{PREFIX}{name}", meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(f"{PREFIX}{name}", meaning, labels, registry=self.registry)

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"{PREFIX}{name}", meaning, labels, buckets=buckets, registry=self.registry)

    def _distribution(self, name: str, meaning: str, bounds: tuple[float, ...]) -> Distribution:
        return Distribution(f"{PREFIX}{name}", meaning, bounds, self.registry)
