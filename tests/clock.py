"""Clocks that tests move."""

from __future__ import annotations

import asyncio

from bus.clock import SystemClock

START = 1_705_314_600_000
"""Wall time in ms of a manual clock whose `now` is 0."""


class MovedClock:
    """Stands still at `now`, in seconds or whatever unit its reader assumes, until a test moves it."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def __call__(self) -> float:
        return self.now

    def now_ms(self) -> int:
        return START + round(self.now * 1000)

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now + seconds, future))
        await future

    async def move(self, seconds: float) -> None:
        """Let this many seconds pass, and run everything that becomes due."""
        await settled()
        self.now += seconds
        due = [future for at, future in self._sleepers if at <= self.now]
        self._sleepers = [(at, future) for at, future in self._sleepers if at > self.now]
        for future in due:
            if not future.done():
                future.set_result(None)
        await settled()


class ShiftedClock(SystemClock):
    """The system's clocks, for tests on a real Kafka, with `passed` time added and the wall clock `stepped` ahead."""

    passed = 0.0
    stepped = 0.0

    def now_ms(self) -> int:
        return super().now_ms() + round((self.passed + self.stepped) * 1000)

    def monotonic(self) -> float:
        return super().monotonic() + self.passed


async def settled() -> None:
    """Run every task that can run."""
    for _ in range(20):
        await asyncio.sleep(0)
