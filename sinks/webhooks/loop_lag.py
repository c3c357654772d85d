"""Measures how late this process's own event loop was, so that its delays are not blamed on an endpoint."""

from __future__ import annotations

import asyncio
import time

TICK = 0.01
"""Seconds between ticks while somebody measures."""

GRAIN = 0.002
"""Seconds by which timers are late on an idle machine: epoll and libuv count whole milliseconds. Of ticks that are no
later, the sum would be a twentieth of every request."""

LINGER = 10.0
"""Seconds of ticking after the last call. Requests in progress take less."""


class LoopLag:
    """Sums up the delays of event loop ticks: garbage collection, long turns, a busy machine."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._due = self._asked_at = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self) -> float:
        """Return the total seconds that the loop was late so far. Differences give the delay between two calls."""
        now = self._asked_at = time.monotonic()
        if self._timer is None:
            self._tick_again(now)
        # After a stall, this call may run before the tick does.
        return self._sum + _beyond_grain(now - self._due)

    def _tick(self) -> None:
        now = time.monotonic()
        self._sum += _beyond_grain(now - self._due)
        self._timer = None
        if now - self._asked_at < LINGER:
            self._tick_again(now)

    def _tick_again(self, now: float) -> None:
        self._due = now + TICK
        self._timer = asyncio.get_running_loop().call_later(TICK, self._tick)


def _beyond_grain(late: float) -> float:
    return late if late > GRAIN else 0.0
