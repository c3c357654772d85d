"""A worker whose code fails stops instead of rejecting its whole topic."""

from __future__ import annotations

import pytest

from bus.worker.batches import FailureLimit, TooManyFailures


def test_failures_below_the_ratio_are_let_pass() -> None:
    limit = FailureLimit(window=10, ratio=0.5)
    for _ in range(1_000):
        limit.judge(2, failed=1)


@pytest.mark.parametrize("batches", [[(10, 6)], [(1, 1)] * 10, [(9, 0), (100, 51)]])
def test_more_failures_than_the_ratio_stop_the_worker(batches: list[tuple[int, int]]) -> None:
    limit = FailureLimit(window=10, ratio=0.5)
    for batch in batches[:-1]:
        limit.judge(*batch)
    with pytest.raises(TooManyFailures, match=r"of the last 1?\d?0 records failed"):
        limit.judge(*batches[-1])


def test_a_few_failures_right_after_the_start_do_not() -> None:
    limit = FailureLimit(window=10, ratio=0.5)
    limit.judge(9, failed=9)


def test_it_does_not_matter_where_in_a_batch_they_are() -> None:
    limit = FailureLimit(window=200, ratio=0.5)
    limit.judge(500, failed=150)


def test_a_batch_without_failures_passes_whatever_came_before() -> None:
    limit = FailureLimit(window=10, ratio=0.5)
    limit.judge(9, failed=9)
    limit.judge(1, failed=0)


def test_old_batches_are_forgotten() -> None:
    limit = FailureLimit(window=10, ratio=0.5)
    for _ in range(5):
        limit.judge(1, failed=1)
    limit.judge(10, failed=0)
    limit.judge(5, failed=5)
