"""Request rates: token buckets. Pure but for the clock."""

from __future__ import annotations

import time
from collections.abc import Callable

MOST_BUCKETS = 10_000
"""Maximum keys to keep. Beyond that, idle keys are dropped, then all."""


class TokenBucket:
    """Lets `rate` requests a second through, and up to `burst` (at least one) at once after a pause.

    Implements the generic cell rate algorithm: the only state is when the next request would be due at an even pace.
    """

    __slots__ = ("_next",)

    def __init__(self) -> None:
        self._next = 0.0

    def take(self, now: float, rate: float, burst: float, amount: float = 1.0) -> float:
        """Take a token and return 0, or return the seconds until one is available. `now` is in monotonic seconds.

        `amount` tokens are taken together. A full bucket allows any amount.
        """
        interval = 1 / rate
        at = max(self._next, now)
        wait = at - now - (max(amount, burst) - amount) * interval
        # A rounding error would only make the caller come back for nothing.
        if wait > 1e-9:
            return wait
        self._next = at + amount * interval
        return 0.0

    def is_full(self, now: float) -> bool:
        """Whether it has rested long enough to be as good as new."""
        return self._next <= now


class RateLimits:
    """A bucket per key: an account, an API key, an address."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, TokenBucket] = {}

    def take(self, key: str, rate: float, burst: float, amount: float = 1.0) -> float:
        """Like `TokenBucket.take`, for the bucket of a key. The rate may differ on each call."""
        now = self._clock()
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= MOST_BUCKETS:
                self._forget(now)
            bucket = self._buckets[key] = TokenBucket()
        return bucket.take(now, rate, burst, amount)

    def _forget(self, now: float) -> None:
        self._buckets = {key: bucket for key, bucket in self._buckets.items() if not bucket.is_full(now)}
        if len(self._buckets) >= MOST_BUCKETS:
            self._buckets.clear()
