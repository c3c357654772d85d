"""Exports the metrics of `/metrics` (`bus.metrics`) by OTLP: same names, same values, cumulative since the start."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterator

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric as Family

from bus import metrics
from bus.clock import now_ns
from bus.telemetry.tracing import SCOPE

log = logging.getLogger(__name__)

UNITS = {"seconds": "s", "bytes": "By"}
"""Units with a UCUM symbol. Others become annotations, which Prometheus leaves out of names."""

_CUMULATIVE = AggregationTemporality.CUMULATIVE


class MetricExport:
    """Exports a registry every `interval` seconds, from the event loop that updates it."""

    def __init__(self, exporter: MetricExporter, resource: Resource, interval: float) -> None:
        self.exporter = exporter
        self._resource = resource
        self._interval = interval
        self._began = now_ns()
        self._last: MetricsData | None = None

    async def run(self, registry: CollectorRegistry) -> None:
        """Export until canceled. Reads on the loop, because the values belong to it; sends off the loop."""
        try:
            while True:
                await asyncio.sleep(self._interval)
                try:
                    await asyncio.to_thread(self._export, self.read(registry))
                except Exception:
                    log.exception("metrics cannot be exported")
        finally:
            self._last = self.read(registry)

    def stop(self) -> None:
        """Export what was counted since the last export, and shut down. Blocks for as long as the exporter does."""
        if self._last is not None:
            self._export(self._last)
        self.exporter.shutdown()

    def _export(self, data: MetricsData) -> None:
        if self.exporter.export(data) is not MetricExportResult.SUCCESS:
            log.warning("metrics were not exported; see the exporter's log")

    def read(self, registry: CollectorRegistry) -> MetricsData:
        """Return the registry's current metrics."""
        now = now_ns()
        made = (_metric(family, self._began, now) for family in registry.collect())
        found = [metric for metric in made if metric.data.data_points]
        scope = ScopeMetrics(InstrumentationScope(SCOPE), found, "")
        return MetricsData([ResourceMetrics(self._resource, [scope], "")])


def _metric(family: Family, began: int, now: int) -> Metric:
    ours = metrics.METRICS.get(family.name)
    word = ours.unit if ours is not None else family.name.rpartition("_")[2]
    unit = UNITS.get(word) or (f"{{{word}}}" if ours is not None else "")
    data: Gauge | Sum | Histogram
    match family.type:
        case "histogram":
            data = Histogram(list(_distributions(family, began, now)), _CUMULATIVE)
        case "counter":
            data = Sum(list(_numbers(family, began, now)), _CUMULATIVE, is_monotonic=True)
        case _:
            data = Gauge(list(_numbers(family, began, now)))
    return Metric(family.name, family.documentation, unit, data)


def _numbers(family: Family, began: int, now: int) -> Iterator[NumberDataPoint]:
    for sample in family.samples:
        if not sample.name.endswith("_created"):
            yield NumberDataPoint(sample.labels, began, now, float(sample.value))


def _distributions(family: Family, began: int, now: int) -> Iterator[HistogramDataPoint]:
    below: defaultdict[tuple[tuple[str, str], ...], list[tuple[float, int]]] = defaultdict(list)
    sums: dict[tuple[tuple[str, str], ...], float] = {}
    for sample in family.samples:
        labels = tuple((name, value) for name, value in sample.labels.items() if name != "le")
        if sample.name.endswith("_bucket"):
            below[labels].append((float(sample.labels["le"]), int(sample.value)))
        elif sample.name.endswith("_sum"):
            sums[labels] = float(sample.value)
    for labels, buckets in below.items():
        buckets.sort()
        counts = [count - (buckets[at - 1][1] if at else 0) for at, (_, count) in enumerate(buckets)]
        bounds = [bound for bound, _ in buckets[:-1]]  # the last bound is infinity
        # Minimum and maximum are unknown: OTLP leaves them out.
        extremes = {"min": None, "max": None}
        yield HistogramDataPoint(
            dict(labels),
            began,
            now,
            buckets[-1][1],
            sums.get(labels, 0.0),
            counts,
            bounds,
            **extremes,  # type: ignore[arg-type]
        )
