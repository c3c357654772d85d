"""Requests per second."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.rates import MOST_BUCKETS, RateLimits, TokenBucket
from tests.clock import MovedClock


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock(1_000.0)


@pytest.fixture
def limits(clock: MovedClock) -> RateLimits:
    return RateLimits(clock)


def taken(limits: RateLimits, rate: float, burst: float, count: int) -> int:
    return sum(limits.take("acme", rate, burst) == 0 for _ in range(count))


@pytest.mark.parametrize(("rate", "burst", "passes"), [(5.0, 50, 50), (0.1, 1, 1), (0.01, 0.1, 1), (3.0, 2.5, 2)])
def test_a_burst_passes_at_once_and_no_more(limits: RateLimits, rate: float, burst: float, passes: int) -> None:
    assert taken(limits, rate, burst, 100) == passes


def test_a_rest_fills_the_bucket_and_no_more(limits: RateLimits, clock: MovedClock) -> None:
    taken(limits, 100, 2, 10)
    clock.now += 3_600
    assert taken(limits, 100, 2, 10) == 2


@pytest.mark.parametrize("rate", [0.3, 1.0, 7.0, 1_000.0])
def test_after_a_burst_the_rate_is_kept(limits: RateLimits, clock: MovedClock, rate: float) -> None:
    while limits.take("acme", rate, 10) == 0:
        pass
    passed = 0
    for _ in range(1_000):
        clock.now += 1 / rate
        passed += limits.take("acme", rate, 10) == 0
    assert passed == pytest.approx(1_000, abs=2)


def test_a_refusal_costs_nothing(limits: RateLimits, clock: MovedClock) -> None:
    taken(limits, 1.0, 10, 1_000)
    clock.now += 1
    assert limits.take("acme", 1.0, 10) == 0


def test_each_key_has_a_bucket_of_its_own(limits: RateLimits) -> None:
    taken(limits, 1.0, 10, 100)
    assert limits.take("other", 1.0, 10) == 0


def test_a_lower_rate_counts_at_once(limits: RateLimits) -> None:
    assert limits.take("acme", 100.0, 1_000) == 0
    assert taken(limits, 1.0, 10, 100) in (9, 10)


@given(
    rate=st.floats(0.01, 1_000),
    burst=st.integers(1, 100),
    waits=st.lists(st.floats(0, 10), min_size=1, max_size=200),
)
def test_never_more_than_the_burst_and_the_rate(rate: float, burst: int, waits: list[float]) -> None:
    bucket = TokenBucket()
    at, passed = 0.0, 0
    for wait in waits:
        at += wait
        passed += bucket.take(at, rate, burst) == 0
        assert passed <= burst + math.floor(at * rate) + 1


@given(rate=st.floats(0.01, 1_000), burst=st.integers(1, 10))
def test_whoever_waits_as_told_passes(rate: float, burst: int) -> None:
    bucket = TokenBucket()
    while not (wait := bucket.take(0.0, rate, burst)):
        pass
    assert bucket.take(wait * 1.001, rate, burst) == 0


@given(rate=st.floats(0.01, 2_000), burst=st.floats(0, 200), asks=st.lists(st.floats(0, 2), min_size=1, max_size=200))
def test_no_second_has_more_than_the_rate_and_a_burst(rate: float, burst: float, asks: list[float]) -> None:
    bucket, now, passed = TokenBucket(), 0.0, []
    for ask in asks:
        now += ask
        if bucket.take(now, rate, burst) == 0:
            passed.append(now)
    for first in passed:
        assert sum(first <= at < first + 1 for at in passed) <= rate + burst + 2


def test_several_tokens_are_taken_together(limits: RateLimits, clock: MovedClock) -> None:
    assert limits.take("acme", 10, 100, 60) == 0
    assert limits.take("acme", 10, 100, 60) == pytest.approx(2)
    clock.now += 2
    assert limits.take("acme", 10, 100, 60) == 0


def test_more_than_a_bucket_holds_passes_when_it_is_full(limits: RateLimits, clock: MovedClock) -> None:
    assert limits.take("acme", 10, 100, 1_000) == 0
    assert limits.take("acme", 10, 100, 1) == pytest.approx(90.1)


def test_keys_that_rest_are_forgotten_and_all_where_too_many_do_not(limits: RateLimits, clock: MovedClock) -> None:
    limits.take("busy", 1, 1, 1_000)
    for number in range(3 * MOST_BUCKETS):
        clock.now += 0.001
        limits.take(f"guest {number}", 10_000, 1)
    assert len(limits._buckets) <= MOST_BUCKETS
    assert limits.take("busy", 1, 1) > 0
    for number in range(2 * MOST_BUCKETS):
        limits.take(f"crowd {number}", 0.001, 1)
    assert len(limits._buckets) <= MOST_BUCKETS
