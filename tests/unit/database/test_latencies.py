"""Percentiles from latency buckets."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from database.latencies import BOUNDS, latency_class, percentile


@pytest.mark.parametrize(
    ("latency", "bound"),
    [(0, 1), (1, 1), (9, 9), (11, 12), (41, 50), (5_000, 5_000), (99_999, 100_000), (10**9, 100_000)],
)
def test_a_latency_is_in_the_class_that_it_fits(latency: int, bound: int) -> None:
    assert latency_class(latency) == bound


def test_classes_grow_by_a_third_at_most() -> None:
    wide = [bound for bound in pairwise(BOUNDS) if bound[0] >= 10 and bound[1] > bound[0] * 4 / 3 + 0.01]
    assert list(BOUNDS) == sorted(set(BOUNDS))
    assert wide == []


def test_nothing_has_no_percentile() -> None:
    assert percentile({}, 0.5) is None
    assert percentile({10: 0}, 0.5) is None


@given(st.lists(st.integers(1, 90_000), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_lies_in_the_class_of_the_true_one(latencies: list[int], share: float) -> None:
    exact = sorted(latencies)[max(0, -int(-share * len(latencies) // 1) - 1)]
    found = percentile(Counter(map(latency_class, latencies)), share)
    assert found is not None
    bound = latency_class(exact)
    place = BOUNDS.index(bound)
    assert (BOUNDS[place - 1] if place else 0) <= found <= bound
