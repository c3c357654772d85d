"""Decides whether, and how long, to wait for a free place in a full lane."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bus.clock import Clock, within
from sinks.webhooks.pace import keeps_pace

PATIENCE = 0.25
"""Maximum seconds that the sink waits for a free place, not counting stalls of this process."""

IMPATIENCE = 5.0
"""Seconds without waiting for a lane after a wait was in vain."""

SHARE_WEIGHT = 1 / 32
"""Weight of the newest measurement in a lane's share of the events."""


class LanePatience:
    """The sink's patience with one lane. `lag` returns the total seconds that this process was stalled."""

    def __init__(self, clock: Clock, lag: Callable[[], float]) -> None:
        self._clock = clock
        self._lag = lag
        self._gap, self._seen_at = 1.0, 0
        self._freed = self._wake_at = 0
        self._place: asyncio.Future[None] | None = None
        self._impatient_until = float("-inf")

    def saw(self, number: int) -> None:
        """Measure the lane's share of the events, for one that is the sink's `number`-th."""
        self._gap += SHARE_WEIGHT * (number - self._seen_at - self._gap)
        self._seen_at = number

    def pays(self, seconds_each: float, cap: int) -> bool:
        """Whether a place will be free so soon that waiting costs the other endpoints nothing."""
        return self._clock.monotonic() >= self._impatient_until and keeps_pace(seconds_each, cap, self._gap)

    async def wait(self, places: int) -> bool:
        """Wait until this many places are free; False if none is."""
        before = self._freed
        self._wake_at = before + places
        self._place = asyncio.get_running_loop().create_future()
        began, lag, left = self._clock.monotonic(), self._lag(), PATIENCE
        while left > 1e-3 and not await within(left, self._place, self._clock) and self._freed == before:
            # During a stall, nothing could become free.
            left = PATIENCE - max(0.0, self._clock.monotonic() - began - (self._lag() - lag))
        self._place = None
        if self._freed == before:
            self._impatient_until = self._clock.monotonic() + IMPATIENCE
            return False
        return True

    def freed(self, places: int) -> None:
        """Note that this many places are free now."""
        self._freed += places
        if self._place is not None and self._freed >= self._wake_at:
            self.end()

    def end(self) -> None:
        """Stop waiting."""
        if self._place is not None and not self._place.done():
            self._place.set_result(None)
