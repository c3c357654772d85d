"""How many requests a key may make."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from console.limits import RateLimits


def test_after_the_burst_requests_come_at_the_rate() -> None:
    limits = RateLimits(rate=2, burst=3)
    assert [limits.take("k", 0.0) for _ in range(4)] == [0, 0, 0, 1]
    assert [limits.take("k", 0.5) for _ in range(2)] == [0, 1]


def test_a_rest_fills_the_bucket_and_no_more() -> None:
    limits = RateLimits(rate=100, burst=2)
    assert [limits.take("k", at) for at in (0.0, 0.0, 3_600.0, 3_600.0, 3_600.0)] == [0, 0, 0, 0, 1]


def test_each_key_has_a_bucket_of_its_own() -> None:
    limits = RateLimits(rate=1, burst=1)
    assert [limits.take(key, 0.0) for key in ("a", "b", "a")] == [0, 0, 1]


@given(
    rate=st.floats(0.01, 1_000),
    burst=st.integers(1, 100),
    waits=st.lists(st.floats(0, 10), min_size=1, max_size=200),
)
def test_never_more_than_the_burst_and_the_rate(rate: float, burst: int, waits: list[float]) -> None:
    limits = RateLimits(rate, burst)
    at, taken = 0.0, 0
    for wait in waits:
        at += wait
        taken += limits.take("k", at) == 0
        assert taken <= burst + math.floor(at * rate) + 1


@given(rate=st.floats(0.01, 1_000), burst=st.integers(1, 10))
def test_after_the_seconds_that_were_told_a_request_may_go_on(rate: float, burst: int) -> None:
    limits = RateLimits(rate, burst)
    while not (wait := limits.take("k", 0.0)):
        pass
    assert limits.take("k", wait * 1.001) == 0
