"""Health of the process itself: event loop, garbage collector, producer, memory, and files."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import Any

from prometheus_client import ProcessCollector

from bus.health import Health
from bus.producer import Producer
from bus.telemetry import current

ASK_EVERY = 0.25
"""Seconds between checks of the event loop."""


GENERATIONS = ("young", "middle", "full")


class Vitals:
    """Measures while the process runs."""

    def __init__(self, health: Health, producer: Producer | None = None) -> None:
        self._lag = health.distributions("event_loop_lag_seconds")[()]
        pauses = health.distributions("gc_pause_seconds")
        self._pauses = [pauses[generation,] for generation in GENERATIONS]
        self._paused_at = 0.0
        self._expected_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        ProcessCollector(registry=health.registry)
        self._registry = health.registry
        self._export: asyncio.Task[None] | None = None
        if producer is not None:
            health.export("produce_errors", lambda: {(error,): count for error, count in producer.failures.items()})
            health.export("producer_renewals", lambda: {(): producer.renewals})
            health.gauge("producer_waiting_seconds", lambda: producer.waiting)

    def start(self) -> None:
        """Start in the running event loop."""
        gc.callbacks.append(self._collected)
        self._ask()
        if (export := current.metrics()) is not None:
            self._export = asyncio.get_running_loop().create_task(export.run(self._registry))

    def stop(self) -> None:
        """Stop measuring."""
        if self._collected in gc.callbacks:
            gc.callbacks.remove(self._collected)
        if self._timer is not None:
            self._timer.cancel()
        if self._export is not None:
            self._export.cancel()

    def _ask(self) -> None:
        loop = asyncio.get_running_loop()
        self._expected_at = loop.time() + ASK_EVERY
        self._timer = loop.call_later(ASK_EVERY, self._came_back)

    def _came_back(self) -> None:
        self._lag.observe(asyncio.get_running_loop().time() - self._expected_at)
        self._ask()

    def _collected(self, phase: str, info: dict[str, Any]) -> None:
        # This may interrupt anything, so it takes no lock and does not resize a table.
        if phase == "start":
            self._paused_at = time.perf_counter()
        elif self._paused_at:
            self._pauses[info["generation"]].observe(time.perf_counter() - self._paused_at)
