"""The console's clocks. Ages are told by both of them, so that neither can make something look newer than it is."""

from __future__ import annotations

import time
from typing import NamedTuple


class Moment(NamedTuple):
    """A time: `monotonic` in seconds, which no one sets, and `millis` since 1970 UTC, which goes on while a machine
    sleeps."""

    monotonic: float
    millis: int

    def seconds_until(self, later: Moment) -> float:
        """How long ago this was at a later moment, by the clock that says longer."""
        return max(later.monotonic - self.monotonic, (later.millis - self.millis) / 1000)


def moment() -> Moment:
    """The time now."""
    return Moment(time.monotonic(), now_ms())


def now_ms() -> int:
    """Milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000
