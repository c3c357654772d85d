"""The only module that reads this machine's clocks. Time is a parameter elsewhere: services pass it in, and tests
control it."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple, Protocol


def now_ms() -> int:
    """Milliseconds since 1970 UTC on the wall clock."""
    return time.time_ns() // 1_000_000


def now_ns() -> int:
    """Nanoseconds since 1970 UTC on the wall clock: OpenTelemetry's unit."""
    return time.time_ns()


def now_seconds() -> float:
    """Seconds since 1970 UTC on the wall clock."""
    return time.time()


class Moment(NamedTuple):
    """A point in time: `monotonic` in seconds, which nobody can set, and `millis` since 1970 UTC, which advances while
    a machine sleeps. Ages use both, so that neither clock can make something look newer than it is."""

    monotonic: float
    millis: int

    def seconds_until(self, later: Moment) -> float:
        """Return the time from this moment to a later one, by the clock that shows more."""
        return max(later.monotonic - self.monotonic, (later.millis - self.millis) / 1000)


def moment() -> Moment:
    """Return the current moment."""
    return Moment(time.monotonic(), now_ms())


class Clock(Protocol):
    """The wall clock for timestamps, the monotonic clock for durations, and waiting."""

    def now_ms(self) -> int:
        """Return milliseconds since 1970 UTC."""

    def monotonic(self) -> float:
        """Return monotonic seconds."""

    async def sleep(self, seconds: float) -> None:
        """Sleep for this many seconds of this clock."""


class SystemClock:
    """This machine's clocks."""

    def now_ms(self) -> int:
        """Return milliseconds since 1970 UTC."""
        return now_ms()

    def monotonic(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep for this many seconds."""
        await asyncio.sleep(seconds)


async def within(seconds: float, future: asyncio.Future[None], clock: Clock) -> bool:
    """Whether the future is done within this many seconds. The future is not canceled."""
    if future.done():
        return True
    alarm = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait((future, alarm), return_when=asyncio.FIRST_COMPLETED)
    finally:
        alarm.cancel()
    return future.done()
