"""Counting in plain numbers: what Prometheus reads, the limit on labels, and the cost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from bus.measures import MOST_VALUES, OTHER, Distribution, Distributions, Exported, Tally
from bus.metrics import LABELS, METRICS, SOON
from tests.examples import examples


@given(st.lists(st.floats(-1, 100, allow_nan=False), max_size=50))
@settings(max_examples=examples(100))
def test_a_bucket_has_what_is_not_above_its_bound(values: list[float]) -> None:
    distribution = Distribution(SOON)
    for value in values:
        distribution.observe(value)
    found = dict(distribution.buckets())
    assert [found[str(bound)] for bound in SOON] == [sum(v <= bound for v in values) for bound in SOON]
    assert found["+Inf"] == len(values)
    assert distribution.total == pytest.approx(sum(value for value in values if value > 0))


def test_values_of_labels_are_bounded_and_nothing_is_lost_beyond() -> None:
    tally, distributions = Tally(), Distributions((1.0,))
    for number in range(MOST_VALUES + 50):
        tally.add("acme", str(number))
        distributions["acme", str(number)].observe(0.5)
    assert len(tally) == len(distributions) == MOST_VALUES + 1
    assert tally[OTHER, OTHER] == distributions[OTHER, OTHER].counts[0] == 50


def test_prometheus_reads_a_histogram_with_its_labels() -> None:
    distributions = Distributions(METRICS["trackly_sinks_attempt_seconds"].buckets)
    distributions["2xx",].observe(0.2)
    registry = CollectorRegistry()
    registry.register(Exported(METRICS["trackly_sinks_attempt_seconds"], distributions))
    lines = generate_latest(registry).decode().splitlines()
    assert 'trackly_sinks_attempt_seconds_bucket{le="0.15",outcome="2xx"} 0.0' in lines
    assert 'trackly_sinks_attempt_seconds_bucket{le="0.25",outcome="2xx"} 1.0' in lines
    assert 'trackly_sinks_attempt_seconds_sum{outcome="2xx"} 0.2' in lines


def test_names_are_as_prometheus_wants_them() -> None:
    for metric in METRICS.values():
        assert metric.name.startswith("trackly_")
        assert not metric.name.endswith("_total"), "Prometheus adds it"
        assert set(metric.labels) <= set(LABELS), "say which values it has"
        assert not {"le", "quantile", "job", "instance"} & set(metric.labels)
        assert (metric.kind == "histogram") == bool(metric.buckets)
        assert list(metric.buckets) == sorted(set(metric.buckets))
        if metric.unit in ("seconds", "bytes"):
            assert metric.name.endswith(f"_{metric.unit}")


def test_no_label_is_described_that_no_metric_has() -> None:
    assert set(LABELS) == {label for metric in METRICS.values() for label in metric.labels}
