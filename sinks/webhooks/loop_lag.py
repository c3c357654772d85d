"""How late this process's own event loop was: time that is not to be booked to somebody else's account."""

from __future__ import annotations

import asyncio
import time

TICK = 0.01
"""Seconds between two looks while somebody measures."""

LINGER = 10.0
"""Seconds for which it is looked after the last question. Requests that are under way take less."""


class LoopLag:
    """Adds up by how much a tick of the loop came late: collections of garbage, long turns, a machine that is busy."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._due = self._asked_at = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self) -> float:
        """Seconds by which the loop was late in all, up to now. Differences tell of the time between two calls."""
        now = self._asked_at = time.monotonic()
        if self._timer is None:
            self._tick_again(now)
        # The turn after a stall may come here before it comes to the tick.
        return self._sum + max(0.0, now - self._due)

    def _tick(self) -> None:
        now = time.monotonic()
        self._sum += max(0.0, now - self._due)
        self._timer = None
        if now - self._asked_at < LINGER:
            self._tick_again(now)

    def _tick_again(self, now: float) -> None:
        self._due = now + TICK
        self._timer = asyncio.get_running_loop().call_later(TICK, self._tick)
