"""A metric with labels whose children are bound once."""

from typing import Generic, TypeVar

from prometheus_client.metrics import MetricWrapperBase

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
