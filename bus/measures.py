"""Cheap metrics for the hot path: plain numbers, exported in Prometheus' format on each scrape.

prometheus_client's lock and sample list cost several microseconds per observation.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from bus import metrics

MOST_VALUES = 200
"""Maximum distinct label values of one metric."""

OTHER = "other"

Labels = tuple[str, ...]
Family = CounterMetricFamily | GaugeMetricFamily


class Distribution:
    """Counts observations below each bound, and their sum."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one observation. A negative value, from clocks that differ, counts as 0."""
        self.counts[bisect_left(self._bounds, value)] += 1
        if value > 0:
            self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """Return Prometheus buckets: upper bound, and the number of observations not above it."""
        bounds = [*map(floatToGoString, self._bounds), "+Inf"]
        return list(zip(bounds, map(float, accumulate(self.counts)), strict=True))


class Distributions(defaultdict[Labels, Distribution]):
    """One distribution per label value, created on first use."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        super().__init__()
        self._bounds = bounds

    def __missing__(self, labels: Labels) -> Distribution:
        if len(self) >= MOST_VALUES:
            labels = (OTHER,) * len(labels)
            if labels in self:
                return self[labels]
        self[labels] = made = Distribution(self._bounds)
        return made


class Tally(dict[Labels, float]):
    """Counts by label values."""

    def add(self, *labels: str, by: float = 1) -> None:
        """Add to a count. Values beyond the first MOST_VALUES are counted as `other`."""
        if labels not in self and len(self) >= MOST_VALUES:
            labels = (OTHER,) * len(labels)
        self[labels] = self.get(labels, 0) + by


Read = Callable[[], Mapping[Labels, float]]


class Exported(Collector):
    """One metric of the list, read on each scrape."""

    def __init__(self, metric: metrics.Metric, read: Read | Distributions) -> None:
        self._metric = metric
        self._read = read

    def describe(self) -> list[Metric]:
        """Return its name for the registry, which would otherwise read its values."""
        return [Metric(self._metric.name, self._metric.help, self._metric.kind)]

    def collect(self) -> Iterator[Metric]:
        """Return the samples."""
        metric = self._metric
        if isinstance(self._read, Distributions):
            histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
            for labels, each in list(self._read.items()):
                histogram.add_metric(labels, each.buckets(), each.total)
            yield histogram
            return
        family: Family = (CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily)(
            metric.name, metric.help, labels=metric.labels
        )
        for labels, value in list(self._read().items()):
            family.add_metric(labels, value)
        yield family
