"""Collection of garbage by plan, in every service.

What a service has made until it is ready lives as long as its process: it is set apart (`gc.freeze`), so that no
collection looks at it again. Of the rest nearly everything is freed without a collection; young ones are rare and short
then. A full one takes time in proportion to all that lives, which is most under load, so Python begins none: it has its
turn when the process has little to do, and after a while in any case, since what is in cycles must go some time.
"""

from __future__ import annotations

import asyncio
import gc
import time

from bus import ending

THRESHOLDS = 50_000, 20, 1_000_000
"""More objects made than freed before a young collection; young before middle ones; middle before full ones."""

LOOK_EVERY = 5.0
"""Seconds between two looks at whether it is time for a full collection."""

FULL_EVERY, FULL_AT_LAST = 60.0, 900.0
"""Seconds from a full collection to the next: in a quiet moment, and whether there is one or not."""

QUIET = 0.2
"""Share of a core that a process uses at most in a quiet moment."""


class FullOnes:
    """When full collections have their turn. Times are in seconds."""

    def __init__(self, now: float, used: float) -> None:
        self._last = self._looked = now
        self._used = used

    def is_due(self, now: float, used: float) -> bool:
        """Whether one is due, at `now`, for a process that has used so much processor time."""
        share = (used - self._used) / max(now - self._looked, 1e-3)
        self._looked, self._used = now, used
        since = now - self._last
        if since < FULL_EVERY or (share > QUIET and since < FULL_AT_LAST):
            return False
        self._last = now
        return True


def collect_by_plan() -> None:
    """Begin, once a service is ready, in its event loop. A process that is none, such as a test, is left alone."""
    if not ending.is_a_service():
        return
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    loop, full = asyncio.get_running_loop(), FullOnes(time.monotonic(), time.process_time())

    def look() -> None:
        if full.is_due(time.monotonic(), time.process_time()):
            gc.collect()
        loop.call_later(LOOK_EVERY, look)

    loop.call_later(LOOK_EVERY, look)
