"""Requests a second: a token bucket, as a pure class. Time is a parameter (monotonic seconds)."""

from __future__ import annotations

SAVED = 0.1
"""Seconds for which unused requests are saved, so that a late wake-up costs none."""


class TokenBucket:
    """Spaces requests evenly; at most `SAVED` seconds' worth of them, and one at least, go at once."""

    __slots__ = ("_next",)

    def __init__(self) -> None:
        self._next = 0.0

    def take(self, now: float, rate: float) -> float:
        """Take a token and give 0, or give the seconds until there is one. `rate` is in tokens a second."""
        interval = 1 / rate
        at = max(self._next, now)
        wait = at - now - (max(1.0, rate * SAVED) - 1) * interval
        # What rounding leaves would only make the caller ask again.
        if wait > 1e-9:
            return wait
        self._next = at + interval
        return 0.0
