"""Callbacks a second of an account."""

from __future__ import annotations

import pytest

from ingest.limits import BURST_SECONDS, RateLimits


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits(clock: Clock) -> RateLimits:
    return RateLimits(clock)


def taken(limits: RateLimits, rate: float, count: int) -> int:
    return sum(limits.take("acme", rate) == 0 for _ in range(count))


@pytest.mark.parametrize(("rate", "burst"), [(5.0, int(5 * BURST_SECONDS)), (0.1, 1), (0.01, 1)])
def test_a_burst_passes_at_once_and_no_more(limits: RateLimits, rate: float, burst: int) -> None:
    assert taken(limits, rate, burst + 10) == burst


@pytest.mark.parametrize("rate", [0.3, 1.0, 7.0, 1_000.0])
def test_after_a_burst_the_rate_is_kept(limits: RateLimits, clock: Clock, rate: float) -> None:
    while limits.take("acme", rate) == 0:
        pass
    passed = 0
    for _ in range(1_000):
        clock.now += 1 / rate
        passed += limits.take("acme", rate) == 0
    assert passed == pytest.approx(1_000, abs=2)


def test_whoever_waits_as_told_passes(limits: RateLimits, clock: Clock) -> None:
    while limits.take("acme", 3.0) == 0:
        pass
    for _ in range(100):
        clock.now += limits.take("acme", 3.0)
        assert limits.take("acme", 3.0) == 0


def test_a_refusal_costs_nothing(limits: RateLimits, clock: Clock) -> None:
    while limits.take("acme", 1.0) == 0:
        pass
    taken(limits, 1.0, 1_000)
    clock.now += 1
    assert limits.take("acme", 1.0) == 0


def test_accounts_have_buckets_of_their_own(limits: RateLimits) -> None:
    while limits.take("acme", 1.0) == 0:
        pass
    assert limits.take("other", 1.0) == 0


def test_a_lower_limit_shrinks_the_bucket(limits: RateLimits) -> None:
    assert limits.take("acme", 100.0) == 0
    assert taken(limits, 1.0, 100) == BURST_SECONDS
