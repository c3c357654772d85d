"""Watches whether a worker's stages make progress and all of their topics are read: lag, metrics, and `/readyz`."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from typing import Protocol

from aiokafka.errors import KafkaError

from bus.health import Health
from bus.ledger import TopicPartition
from bus.worker.consumer import LosslessConsumer
from bus.worker.inbox import Inbox

log = logging.getLogger(__name__)

WATCH_EVERY = 5.0
"""Seconds between checks."""

SILENT_AFTER = 10.0
"""Seconds without a successful check after which a worker is not ready."""

STALLED_AFTER = 10.0
"""Seconds of lag without progress after which a worker is not ready. Faust consumers have been seen to die silently;
the orchestrator restarts what is not ready."""

SKIPPED_LATELY = 120.0
"""Seconds of unreadiness after retention deleted unread records, so that somebody notices."""

REJOIN_EVERY = 30.0
"""Seconds between requests to reassign the group's partitions while nobody reads some of them."""

Progress = Mapping[TopicPartition, tuple[int, int]]
"""For each partition: its lag, and the offset up to which everything is durable."""


class WatchedWorker(Protocol):
    """The parts of a worker that are watched."""

    inboxes: dict[str, Inbox]

    @property
    def consumer(self) -> LosslessConsumer:
        """Reads the topics of all stages."""

    @property
    def should_stop(self) -> bool:
        """Whether it is stopping."""

    async def sleep(self, seconds: float) -> None:
        """Wait this long, or until it stops."""


class Stages:
    """The latest observations of a worker's stages."""

    def __init__(self, health: Health) -> None:
        self.lag = 0
        self._names: dict[frozenset[str], str] = {}
        self._moved: dict[tuple[str, ...], tuple[int, int, float]] = {}
        """By a stage's topics: its lag, the sum of its durable offsets, and since when they are unchanged."""
        self._looked_at = time.monotonic()
        self._nobodys: list[TopicPartition] = []
        self._nobodys_since = self._rejoined_at = 0.0
        self._skipped_at: float | None = None
        health.checks += [self._unanswered, self._stalled, self._unread, self._skipped]

    def name(self, topics: Iterable[str], name: str) -> None:
        """Set the metrics name of the stage that reads these topics."""
        self._names[frozenset(topics)] = name

    def lags(self) -> dict[tuple[str, ...], float]:
        """Last observed number of unfinished records, by stage."""
        return {(self._name_of(topics),): lag for topics, (lag, _, _) in self._moved.items()}

    def oldest(self, waiting: Mapping[frozenset[str], float]) -> dict[tuple[str, ...], float]:
        """Return the age in seconds of the oldest record not yet taken, by stage. `waiting` has the ages of queued
        records, by a stage's topics; for records still on the broker, the time since the last progress is used."""
        ages: dict[tuple[str, ...], float] = {(name,): 0.0 for name in self._names.values()}
        now = time.monotonic()
        for topics, (lag, _, since) in self._moved.items():
            if lag:
                ages[self._name_of(topics),] = now - since
        for own, age in waiting.items():
            name = self._name_of(own)
            ages[name,] = max(age, ages.get((name,), 0.0))
        return ages

    def _name_of(self, topics: Iterable[str]) -> str:
        return self._names.get(frozenset(topics), "unnamed")

    async def watch(self, worker: WatchedWorker) -> None:
        """Check every few seconds while the worker runs."""
        while not worker.should_stop:
            await worker.sleep(WATCH_EVERY)
            consumer = worker.consumer
            if not consumer.ready:
                self._looked_at = time.monotonic()
                continue
            self._skipped_at = consumer.skipped_at
            try:
                self.note(await consumer.progress(), {inbox.topics for inbox in worker.inboxes.values()})
                if self.note_nobodys(await consumer.read_by_nobody()):
                    await consumer.ask_to_rejoin()
            except KafkaError as error:
                # This serves metrics and `/readyz` only. Code that needs Kafka waits for it.
                log.warning("the lag is unknown right now: %s", type(error).__name__)
            except Exception:
                log.exception("the lag is unknown")
            else:
                self._looked_at = time.monotonic()

    def note(self, progress: Progress, stages: set[frozenset[str]]) -> None:
        """Record the partitions' positions of some stages; a stage is identified by its topics."""
        self.lag = sum(lag for lag, _ in progress.values())
        known, now = self._moved, time.monotonic()
        self._moved = {}
        for topics in stages:
            own = [found for tp, found in progress.items() if tp.topic in topics]
            lag, done = sum(lag for lag, _ in own), sum(durable for _, durable in own)
            stage = tuple(sorted(topics))
            _, before, since = known.get(stage, (0, -1, now))
            self._moved[stage] = lag, done, now if lag == 0 or done != before else since

    def note_nobodys(self, found: list[TopicPartition]) -> bool:
        """Record the partitions that no group member has. Returns whether to request a reassignment."""
        now, were_some, self._nobodys = time.monotonic(), bool(self._nobodys), found
        if not were_some:
            self._nobodys_since = now
        if not (were_some and found) or now - self._rejoined_at < REJOIN_EVERY:
            return False
        # With static membership, no member may be looking for new partitions.
        self._rejoined_at = now
        log.warning("nobody reads %d partitions; requesting a reassignment", len(found))
        return True

    def _unanswered(self) -> str | None:
        silent = time.monotonic() - self._looked_at
        return None if silent < WATCH_EVERY + SILENT_AFTER else f"Kafka has not answered for {silent:.0f} s"

    def _stalled(self) -> str | None:
        now, still = time.monotonic(), []
        for topics, (lag, _, since) in self._moved.items():
            if lag and now - since >= STALLED_AFTER:
                named = ", ".join(topics[:2]) + (" and others" if topics[2:] else "")
                still.append(f"{lag} records of {named} are waiting, and there was no progress for {now - since:.0f} s")
        return "; ".join(still) or None

    def _unread(self) -> str | None:
        if not self._nobodys or time.monotonic() - self._nobodys_since < WATCH_EVERY:
            return None  # they may just be moving
        first = self._nobodys[0]
        return f"nobody reads {len(self._nobodys)} partitions, such as {first.topic}[{first.partition}]"

    def _skipped(self) -> str | None:
        if self._skipped_at is None or time.monotonic() - self._skipped_at > SKIPPED_LATELY:
            return None
        return "retention has deleted unread records; the log says how many of which topic"
