"""A worker whose code fails stops instead of pouring its topic into the rejected one."""

from __future__ import annotations

import pytest

from bus.batches import FailureLimit, TooManyFailures


def test_failures_below_the_ratio_are_let_pass() -> None:
    limit = FailureLimit(window=10, ratio=0.5)
    for number in range(1_000):
        limit.record(failed=number % 2 == 0)


def test_more_failures_than_the_ratio_stop_the_worker() -> None:
    limit = FailureLimit(window=10, ratio=0.5)
    for _ in range(9):
        limit.record(failed=True)
    with pytest.raises(TooManyFailures, match="of the last 10 records failed"):
        limit.record(failed=True)


def test_a_few_failures_right_after_the_start_do_not() -> None:
    limit = FailureLimit(window=10, ratio=0.5)
    for _ in range(9):
        limit.record(failed=True)


def test_old_outcomes_are_forgotten() -> None:
    limit = FailureLimit(window=10, ratio=0.5)
    for _ in range(5):
        limit.record(failed=True)
    for _ in range(10):
        limit.record(failed=False)
    for _ in range(5):
        limit.record(failed=True)
