"""Waiting for a free place of a full lane: whether it is worth it, and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bus.clock import Clock, within
from sinks.webhooks.pace import keeps_pace

PATIENCE = 0.25
"""Seconds that the sink waits for a free place at most, those not counted in which this process stood still."""

IMPATIENCE = 5.0
"""Seconds for which a lane that had it wait in vain is not waited for again."""

SHARE_WEIGHT = 1 / 32
"""Weight of the newest measurement in a lane's share of the events."""


class LanePatience:
    """The sink's patience with one lane. `lag` says for how many seconds in all this process stood still."""

    def __init__(self, clock: Clock, lag: Callable[[], float]) -> None:
        self._clock = clock
        self._lag = lag
        self._gap, self._seen_at = 1.0, 0
        self._freed = self._wake_at = 0
        self._place: asyncio.Future[None] | None = None
        self._impatient_until = float("-inf")

    def saw(self, number: int) -> None:
        """Measure the lane's share of the events: one for it is the `number`-th that the sink took."""
        self._gap += SHARE_WEIGHT * (number - self._seen_at - self._gap)
        self._seen_at = number

    def pays(self, seconds_each: float, cap: int) -> bool:
        """Whether a free place will come so soon that waiting costs the other endpoints nothing."""
        return self._clock.monotonic() >= self._impatient_until and keeps_pace(seconds_each, cap, self._gap)

    async def wait(self, places: int) -> bool:
        """Wait until so many places have become free; False when none has."""
        before = self._freed
        self._wake_at = before + places
        self._place = asyncio.get_running_loop().create_future()
        began, lag, left = self._clock.monotonic(), self._lag(), PATIENCE
        while left > 1e-3 and not await within(left, self._place, self._clock) and self._freed == before:
            # While we stood still, nothing could become free.
            left = PATIENCE - max(0.0, self._clock.monotonic() - began - (self._lag() - lag))
        self._place = None
        if self._freed == before:
            self._impatient_until = self._clock.monotonic() + IMPATIENCE
            return False
        return True

    def freed(self, places: int) -> None:
        """So many places have become free."""
        self._freed += places
        if self._place is not None and self._freed >= self._wake_at:
            self.end()

    def end(self) -> None:
        """Wait no longer."""
        if self._place is not None and not self._place.done():
            self._place.set_result(None)
