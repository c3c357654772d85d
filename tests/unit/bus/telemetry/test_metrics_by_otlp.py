"""The metrics of `/metrics` are exported by OTLP, with the same names and values."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry

from bus.health import Health
from bus.telemetry.metrics import MetricExport


def exported(registry: CollectorRegistry) -> dict[str, Metric]:
    """What goes on the wire, by name."""
    exporter: Any = None
    export = MetricExport(exporter, Resource({"service.name": "trackly-ingest"}), 60.0)
    [resource] = encode_metrics(export.read(registry)).resource_metrics
    [scope] = resource.scope_metrics
    return {metric.name: metric for metric in scope.metrics}


def labels(point: Any) -> dict[str, str]:
    return {each.key: each.value.string_value for each in point.attributes}


def test_a_counter_is_a_sum_that_only_grows() -> None:
    health = Health("ingest")
    health.tally("callbacks").add("infobip", "stored", by=3)
    metric = exported(health.registry)["trackly_ingest_callbacks"]
    [point] = metric.sum.data_points
    assert (metric.unit, metric.sum.is_monotonic, point.as_double) == ("{callbacks}", True, 3)
    assert metric.sum.aggregation_temporality == 2  # cumulative
    assert labels(point) == {"provider": "infobip", "answer": "stored"}
    assert 0 < point.start_time_unix_nano <= point.time_unix_nano


def test_a_counter_of_the_library_is_one_series() -> None:
    health = Health("streams")
    health.counter("orphaned_reports").inc(2)
    [point] = exported(health.registry)["trackly_streams_orphaned_reports"].sum.data_points
    assert point.as_double == 2


def test_a_gauge_is_a_gauge_in_its_unit() -> None:
    health = Health("sinks")
    health.gauge("window_bytes", lambda: 7)
    metric = exported(health.registry)["trackly_sinks_window_bytes"]
    assert (metric.unit, metric.gauge.data_points[0].as_double) == ("By", 7)


def test_a_histogram_has_a_count_between_each_two_bounds() -> None:
    health = Health("ingest")
    answered = health.distributions("answer_seconds")
    for seconds in (0.004, 0.004, 0.2, 99.0):
        answered["stored",].observe(seconds)
    answered["failed",].observe(0.3)
    metric = exported(health.registry)["trackly_ingest_answer_seconds"]
    points = {labels(point)["outcome"]: point for point in metric.histogram.data_points}
    assert (metric.unit, set(points)) == ("s", {"stored", "failed"})
    stored = points["stored"]
    assert stored.count == sum(stored.bucket_counts) == 4
    assert len(stored.bucket_counts) == len(stored.explicit_bounds) + 1
    counts = dict(zip([*stored.explicit_bounds, "more"], stored.bucket_counts, strict=True))
    assert {bound: count for bound, count in counts.items() if count} == {0.005: 2, 0.25: 1, "more": 1}
    assert round(stored.sum, 3) == 99.208
    assert not stored.HasField("min")


async def test_what_was_counted_since_the_last_export_is_exported_at_the_end() -> None:
    health, out = Health("ingest"), io.StringIO()
    export = MetricExport(ConsoleMetricExporter(out), Resource({}), 60.0)
    running = asyncio.create_task(export.run(health.registry))
    await asyncio.sleep(0)
    health.tally("callbacks").add("infobip", "stored", by=3)
    running.cancel()
    await asyncio.wait([running])
    export.stop()
    [metric] = [
        metric
        for metric in json.loads(out.getvalue())["resource_metrics"][0]["scope_metrics"][0]["metrics"]
        if metric["name"] == "trackly_ingest_callbacks"
    ]
    assert [point["value"] for point in metric["data"]["data_points"]] == [3]
