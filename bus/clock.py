"""The one place that reads this machine's clocks. Time is a parameter: services give it, and tests move it."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple, Protocol


def now_ms() -> int:
    """Milliseconds since 1970 UTC, of the clock that people set."""
    return time.time_ns() // 1_000_000


def now_ns() -> int:
    """Nanoseconds since 1970 UTC, of the same clock: OpenTelemetry's unit."""
    return time.time_ns()


def now_seconds() -> float:
    """Seconds since 1970 UTC, of the same clock."""
    return time.time()


class Moment(NamedTuple):
    """A time: `monotonic` in seconds, which no one sets, and `millis` since 1970 UTC, which goes on while a machine
    sleeps. Ages are told by both, so that neither clock can make something look newer than it is."""

    monotonic: float
    millis: int

    def seconds_until(self, later: Moment) -> float:
        """How long ago this was at a later moment, by the clock that says longer."""
        return max(later.monotonic - self.monotonic, (later.millis - self.millis) / 1000)


def moment() -> Moment:
    """The time now."""
    return Moment(time.monotonic(), now_ms())


class Clock(Protocol):
    """Wall clock for what is written down, monotonic clock for durations, and waiting."""

    def now_ms(self) -> int:
        """Milliseconds since 1970 UTC."""

    def monotonic(self) -> float:
        """Seconds of a clock that never goes back."""

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds of this clock."""


class SystemClock:
    """The clocks of this machine."""

    def now_ms(self) -> int:
        """Milliseconds since 1970 UTC."""
        return now_ms()

    def monotonic(self) -> float:
        """Seconds of a clock that never goes back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        await asyncio.sleep(seconds)


async def within(seconds: float, future: asyncio.Future[None], clock: Clock) -> bool:
    """Whether the future is done within so many seconds. The future is left as it is."""
    if future.done():
        return True
    alarm = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait((future, alarm), return_when=asyncio.FIRST_COMPLETED)
    finally:
        alarm.cancel()
    return future.done()
