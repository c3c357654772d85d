"""Scheduled garbage collection, for every service.

Objects created before a service is ready live as long as the process, so they are frozen (`gc.freeze`) and never
scanned again. Reference counting frees nearly everything else, so young collections are rare and short. A full
collection takes time proportional to all live objects, which is highest under load. Python therefore never starts one;
it runs when the process is nearly idle, and at the latest after a while, because cycles must be freed eventually.
"""

from __future__ import annotations

import asyncio
import gc
import time

from bus import ending

THRESHOLDS = 50_000, 20, 1_000_000
"""Net allocations before a young collection; young ones before a middle one; middle ones before a full one."""

LOOK_EVERY = 5.0
"""Seconds between checks whether a full collection is due."""

FULL_EVERY, FULL_AT_LAST = 60.0, 900.0
"""Seconds between full collections: in a quiet moment, and at the latest."""

QUIET = 0.2
"""Share of a core below which a process counts as quiet."""


class FullOnes:
    """Schedules full collections. Times are in seconds."""

    def __init__(self, now: float, used: float) -> None:
        self._last = self._looked = now
        self._used = used

    def is_due(self, now: float, used: float) -> bool:
        """Whether a full collection is due at `now`, given the processor time used so far."""
        share = (used - self._used) / max(now - self._looked, 1e-3)
        self._looked, self._used = now, used
        since = now - self._last
        if since < FULL_EVERY or (share > QUIET and since < FULL_AT_LAST):
            return False
        self._last = now
        return True


def collect_by_plan() -> None:
    """Start scheduled collection in a ready service's event loop. Does nothing in other processes, such as tests."""
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
