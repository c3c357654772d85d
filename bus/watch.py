"""Watches Kafka while a process works: whether it answers, topics still fit, and the clock is right."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from aiokafka.errors import KafkaError

from bus.health import Health
from bus.kafka_time import clock_problem, seconds_ahead
from bus.layout import Identity, LayoutError, check_partitions
from bus.producer import Producer
from bus.settings import BusSettings
from bus.vitals import Vitals

log = logging.getLogger(__name__)

ASK_EVERY = 4.0
"""Seconds between checks that a broker answers."""

SILENT_AFTER = 10.0
"""Seconds without an answer from any broker after which a process is not ready."""

LOOK_EVERY = 30.0
"""Seconds between checks of partitions and clock."""


class Watch:
    """Watches while the process runs. `on_misfit` is called once if topics no longer fit; the process must then end, or
    it would look for recipients in the wrong partitions. `on_counts` gets the partition counts of all topics at each
    check."""

    def __init__(
        self,
        settings: BusSettings,
        producer: Producer,
        health: Health,
        on_misfit: Callable[[LayoutError], None],
        on_counts: Callable[[Mapping[str, int]], None] = lambda counts: None,
    ) -> None:
        self._settings = settings
        self._producer = producer
        self._name = f"{health.service}/{settings.instance_id or ''}"
        self._on_misfit = on_misfit
        self._on_counts = on_counts
        self._answered_at = time.monotonic()
        self._unanswered = 0
        self._has_told = False
        self._clock_problem: str | None = None
        self._task: asyncio.Task[None] | None = None
        self._vitals = Vitals(health, producer)
        health.checks += [self.problem, lambda: self._clock_problem]
        # Keeps the restart policy patient: without a broker, a new process could not start either.
        health.progress.append(lambda: self._unanswered)

    def start(self) -> None:
        """Start. The producer must be running."""
        self._answered_at = time.monotonic()
        self._task = asyncio.create_task(self._run())
        self._vitals.start()

    async def stop(self) -> None:
        """Stop watching."""
        self._vitals.stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def problem(self) -> str | None:
        """Describe the problem if no broker answers."""
        silent = time.monotonic() - self._answered_at
        if self._task is None or silent < SILENT_AFTER:
            return None
        return f"no broker has answered for {silent:.0f} s"

    async def look(self) -> None:
        """Check the topics now. Raises aiokafka.errors.KafkaError."""
        counts = await self._producer.counts()
        self._on_counts(counts)
        try:
            check_partitions(self._settings.catalogue, {name: Identity("", count) for name, count in counts.items()})
        except LayoutError as error:
            if not self._has_told:
                self._has_told = True
                log.critical("%s", error)
                self._on_misfit(error)

    async def _run(self) -> None:
        look_at = time.monotonic() + LOOK_EVERY
        while True:
            await asyncio.sleep(ASK_EVERY)
            try:
                if not await self._producer.is_answered():
                    self._unanswered += 1
                    continue
                self._answered_at = time.monotonic()
                if time.monotonic() >= look_at:
                    look_at = time.monotonic() + LOOK_EVERY
                    await self.look()
                    ahead = await seconds_ahead(self._producer, self._settings, self._name)
                    self._clock_problem = clock_problem(ahead, self._settings.clock_tolerance)
            except KafkaError as error:
                log.warning("Kafka cannot be checked right now: %s", type(error).__name__)
            except Exception:
                log.exception("Kafka cannot be checked")
