"""Defers what a lane held and will not try soon, in slices, so that a long queue blocks nothing else."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Literal

from sinks.webhooks.delivery import Delivery

SLICE = 64
"""Deliveries deferred per turn of the event loop."""

Deferral = Literal["breaker_open", "overflow", "rate_limited", "behind", "moving", "paused", "disabled", "deleted"]
"""Why a delivery is not tried soon."""


class Deferrals:
    """Deliveries yet to be deferred, in order. `each` defers one; `broken` gets what `each` raises."""

    def __init__(self, each: Callable[[Delivery, Deferral], None], broken: Callable[[BaseException], None]) -> None:
        self._each = each
        self._broken = broken
        self._waiting: deque[tuple[Delivery, Deferral]] = deque()
        self._task: asyncio.Task[None] | None = None

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, deliveries: Iterable[Delivery], reason: Deferral) -> None:
        """Defer deliveries: the first slice at once, unless others wait, the rest between other tasks."""
        are_first = not self._waiting
        self._waiting.extend((delivery, reason) for delivery in deliveries)
        if are_first:
            self._slice()
            if self._waiting:
                self._task = asyncio.get_running_loop().create_task(self._run())

    def emptied(self) -> list[Delivery]:
        """Remove and return the waiting ones, which are then no longer deferred."""
        found = [delivery for delivery, _ in self._waiting]
        self._waiting.clear()
        return found

    def stop(self) -> None:
        """Stop deferring."""
        if self._task is not None:
            self._task.cancel()

    def _slice(self) -> None:
        for _ in range(min(SLICE, len(self._waiting))):
            self._each(*self._waiting.popleft())

    async def _run(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(0)
                self._slice()
        except Exception as error:
            self._broken(error)
