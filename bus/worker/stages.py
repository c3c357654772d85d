"""Whether the stages of a worker move, and whether somebody reads all of their topics: lag, metrics and `/readyz`."""

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
"""Seconds between looks."""

SILENT_AFTER = 10.0
"""Seconds without a look that came through after which a worker says that it is not ready."""

STALLED_AFTER = 10.0
"""Seconds of lag without progress of a stage after which a worker says that it is not ready. Faust consumers have been
seen to die without a word; the orchestrator restarts what is not ready."""

SKIPPED_LATELY = 120.0
"""Seconds for which a worker is not ready after retention deleted what it had not read: somebody should see it."""

REJOIN_EVERY = 30.0
"""Seconds between two requests for the group to share its partitions out again, while some are read by nobody."""

Place = Mapping[TopicPartition, tuple[int, int]]
"""For each partition: its lag, and the offset up to which everything is durable."""


class WatchedWorker(Protocol):
    """What is looked at of a worker."""

    inboxes: dict[str, Inbox]

    @property
    def consumer(self) -> LosslessConsumer:
        """Reads the topics of all stages."""

    @property
    def should_stop(self) -> bool:
        """Whether it stops."""

    async def sleep(self, seconds: float) -> None:
        """Wait so long, or until it stops."""


class Stages:
    """What was seen of a worker's stages last."""

    def __init__(self, health: Health) -> None:
        self.lag = 0
        self._names: dict[frozenset[str], str] = {}
        self._moved: dict[tuple[str, ...], tuple[int, int, float]] = {}
        """By the topics of a stage: its lag, the sum of durable offsets, and since when that is so."""
        self._looked_at = time.monotonic()
        self._nobodys: list[TopicPartition] = []
        self._nobodys_since = self._rejoined_at = 0.0
        self._skipped_at: float | None = None
        health.checks += [self._unanswered, self._stalled, self._unread, self._skipped]

    def name(self, topics: Iterable[str], name: str) -> None:
        """Under which name metrics tell of the stage that reads these topics."""
        self._names[frozenset(topics)] = name

    def lags(self) -> dict[tuple[str, ...], float]:
        """Records by stage that are on its topics and not yet done, as it was seen last."""
        return {(self._name_of(topics),): lag for topics, (lag, _, _) in self._moved.items()}

    def oldest(self, waiting: Mapping[frozenset[str], float]) -> dict[tuple[str, ...], float]:
        """Age by stage of the oldest record that was not taken, in seconds. `waiting` are the ages of those that lie
        here by the topics of a stage; of what is still on the broker it is known since when nothing has moved.
        """
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
        """Look every few seconds, for as long as the worker runs."""
        while not worker.should_stop:
            await worker.sleep(WATCH_EVERY)
            consumer = worker.consumer
            if not consumer.ready:
                self._looked_at = time.monotonic()
                continue
            self._skipped_at = consumer.skipped_at
            try:
                self.note(await consumer.standing(), {inbox.topics for inbox in worker.inboxes.values()})
                if self.note_nobodys(await consumer.read_by_nobody()):
                    await consumer.ask_to_rejoin()
            except KafkaError as error:
                # It is for metrics and `/readyz`. Whoever needs Kafka for its work waits for it.
                log.warning("the lag is not known at the moment: %s", type(error).__name__)
            except Exception:
                log.exception("the lag is not known")
            else:
                self._looked_at = time.monotonic()

    def note(self, standing: Place, stages: set[frozenset[str]]) -> None:
        """Take in where the partitions of some stages stand; a stage is known by its topics."""
        self.lag = sum(lag for lag, _ in standing.values())
        known, now = self._moved, time.monotonic()
        self._moved = {}
        for topics in stages:
            own = [found for tp, found in standing.items() if tp.topic in topics]
            lag, done = sum(lag for lag, _ in own), sum(durable for _, durable in own)
            stage = tuple(sorted(topics))
            _, before, since = known.get(stage, (0, -1, now))
            self._moved[stage] = lag, done, now if lag == 0 or done != before else since

    def note_nobodys(self, found: list[TopicPartition]) -> bool:
        """Take in which partitions no member of the group has. Returns whether the group is to be asked for them."""
        now, were_some, self._nobodys = time.monotonic(), bool(self._nobodys), found
        if not were_some:
            self._nobodys_since = now
        if not (were_some and found) or now - self._rejoined_at < REJOIN_EVERY:
            return False
        # In static membership there may be no member that looks for new partitions.
        self._rejoined_at = now
        log.warning("%d partitions are read by nobody; the group is asked to share them out", len(found))
        return True

    def _unanswered(self) -> str | None:
        silent = time.monotonic() - self._looked_at
        return None if silent < WATCH_EVERY + SILENT_AFTER else f"no answer of Kafka for {silent:.0f} s"

    def _stalled(self) -> str | None:
        now, still = time.monotonic(), []
        for topics, (lag, _, since) in self._moved.items():
            if lag and now - since >= STALLED_AFTER:
                named = ", ".join(topics[:2]) + (" and others" if topics[2:] else "")
                still.append(f"{lag} records of {named} are waiting and nothing has moved for {now - since:.0f} s")
        return "; ".join(still) or None

    def _unread(self) -> str | None:
        if not self._nobodys or time.monotonic() - self._nobodys_since < WATCH_EVERY:
            return None  # they may just be changing hands
        first = self._nobodys[0]
        return f"{len(self._nobodys)} partitions are read by nobody, such as {first.topic}[{first.partition}]"

    def _skipped(self) -> str | None:
        if self._skipped_at is None or time.monotonic() - self._skipped_at > SKIPPED_LATELY:
            return None
        return "retention has deleted records before they were read; the log says how many of which topic"
