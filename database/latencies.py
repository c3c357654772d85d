"""Latency histograms: percentiles over any span are sums of counts. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping

_STEPS = (10, 12, 15, 20, 25, 30, 40, 50, 60, 80)

BOUNDS: tuple[int, ...] = (*range(1, 10), *(step * 10**power for power in range(4) for step in _STEPS), 100_000)
"""Upper bounds of the buckets in ms. Each is at most a third above the previous one, which is a percentile's
precision."""


def latency_class(latency_ms: int) -> int:
    """Return the upper bound (ms) of a latency's bucket; the last bucket takes anything longer."""
    return BOUNDS[min(bisect_left(BOUNDS, latency_ms), len(BOUNDS) - 1)]


def percentile(counts: Mapping[int, int], share: float) -> float | None:
    """Return the latency (ms) that this share of attempts does not exceed, by bucket counts; None without counts.

    Assumes that latencies are evenly distributed within a bucket.
    """
    wanted = share * sum(counts.values())
    passed = 0
    for bound in sorted(counts):
        count = counts[bound]
        if count and passed + count >= wanted:
            place = bisect_left(BOUNDS, bound)
            below = BOUNDS[place - 1] if place else 0
            return below + (bound - below) * max(wanted - passed, 0) / count
        passed += count
    return None
