"""Callbacks a second of an account: a token bucket for each, in this process. Pure but for the clock."""

from __future__ import annotations

import time
from collections.abc import Callable

BURST_SECONDS = 10.0
"""A bucket holds what the limit gives in this time, and one callback at least. It is full at first."""


class RateLimits:
    """Buckets by account. An account whose limit changes goes on with what is in its bucket."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, account: str, rate: float) -> float:
        """Take one callback out of the account's bucket and give 0, or give the seconds until there is one."""
        now = self._clock()
        full = max(1.0, rate * BURST_SECONDS)
        level, at = self._buckets.get(account, (full, now))
        level = min(full, level + (now - at) * rate)
        # What rounding leaves would only make the caller come back for nothing.
        if level < 1 - 1e-9:
            self._buckets[account] = (level, now)
            return (1 - level) / rate
        self._buckets[account] = (level - 1, now)
        return 0.0
