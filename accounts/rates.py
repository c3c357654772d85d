"""How many requests a second: token buckets. Pure but for the clock."""

from __future__ import annotations

import time
from collections.abc import Callable


class TokenBucket:
    """Lets `rate` requests a second through, and up to `burst` (at least one) at once after a rest.

    It is the generic cell rate algorithm: all that is kept is when the next request would be due at an even pace.
    """

    __slots__ = ("_next",)

    def __init__(self) -> None:
        self._next = 0.0

    def take(self, now: float, rate: float, burst: float) -> float:
        """Take a token and give 0, or give the seconds until there is one. `now` is in monotonic seconds."""
        interval = 1 / rate
        at = max(self._next, now)
        wait = at - now - (max(1.0, burst) - 1) * interval
        # What rounding leaves would only make the caller come back for nothing.
        if wait > 1e-9:
            return wait
        self._next = at + interval
        return 0.0


class RateLimits:
    """A bucket for each key: an account, an API key."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, TokenBucket] = {}

    def take(self, key: str, rate: float, burst: float) -> float:
        """As `TokenBucket.take`, for the bucket of a key. It may be given another rate every time."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket()
        return bucket.take(self._clock(), rate, burst)
