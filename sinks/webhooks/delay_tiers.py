"""Delay tiers: webhooks wait in one topic per delay, and move to `webhooks_due` when they are due.

All records of a partition wait equally long (`retry.placed`), so its head is due first. None is early; they are late by
about the time that a record takes through Kafka.

A record's wait is computed once, when it is read, from its due time and the wall clock, and then measured on the
monotonic clock: setting the wall clock later affects nothing.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from bus.admin import Admin
from bus.clock import Clock
from bus.producer import Addressed, Producer
from bus.reading.group import Lost, commit_what_is_mine, go_on_where_committed, group_consumer
from bus.settings import BusSettings
from schemas.topics import Topic
from sinks.webhooks.retry import JITTER, TaskHeaders

log = logging.getLogger(__name__)

HELD = 500
"""Records of a partition held in memory; the partition is paused while there are any."""

LONGEST_WAIT = 1.0
"""Seconds between checks of the clock."""

REVOKE_WAIT = 10.0
"""Seconds that a rebalance waits for a release in progress."""

FETCH_BYTES = 256 << 10
"""Fetch size of one partition, about HELD records. Excess records are fetched again."""

DIGITS = 9
"""Maximum digits of a partition's number. Python refuses to read a number of thousands."""

CLOCK_ERROR_MS = 60_000
"""How far the due time may differ from the record's own time plus the delay before it counts as malformed."""


def due_at(record: Any, delay_ms: int) -> int:
    """Return when a waiting record is due, in ms since 1970 UTC.

    From its header or, if that is missing or implausible, from the record's time and the delay. Otherwise one wrong
    header could block the partition for years.
    """
    expected = int(record.timestamp) + delay_ms
    stated = TaskHeaders.decode(record.headers).due_at
    if stated is None or abs(stated - expected) > CLOCK_ERROR_MS + delay_ms:
        return expected
    return stated


def wait_seconds(record: Any, delay_ms: int, now_ms: int) -> float:
    """Return how long to hold a record that was read `now_ms`. At most the tier's longest delay: it was written before
    it was read, so anything more is just a slow clock."""
    return min(due_at(record, delay_ms) - now_ms, delay_ms * (1 + JITTER)) / 1000


def due_partition(headers: TaskHeaders, partitions: int) -> int | None:
    """Return the partition of due webhooks for one that was deferred or parked without an attempt; None: its key
    decides.

    It is the number of its event's partition, which one process reads along with this one. So that process knows which
    of a contact's webhooks are still out, and each sends its share of an endpoint's backlog. Retries stay with the
    process that counts the endpoint's failures.
    """
    if headers.mark is None or headers.attempt > 1 or headers.origin is None:
        return None
    _, _, place = headers.origin.partition("/")
    number = place.partition("/")[0]
    is_number = number.isdecimal() and len(number) <= DIGITS
    return int(number) if is_number and int(number) < partitions else None


class _Held(NamedTuple):
    record: Any
    release_at: float


def existing_tiers(settings: BusSettings) -> list[Topic]:
    """Return the delay topics on the broker, including those of earlier schedules. Blocks.

    Raises RuntimeError if one of the current schedule is missing, bus.admin.BrokerUnavailable.
    """
    with Admin(settings) as admin:
        names = set(admin.list_topics())
    wanted = [*settings.catalogue.delay_tiers, settings.catalogue["webhooks_parked"]]
    missing = [topic.name for topic in wanted if topic.name not in names]
    if missing:
        raise RuntimeError(f"{', '.join(missing)}: no such topic. Create the topics: trackly topics apply")
    tiers = (settings.catalogue.delay_tier_named(name) for name in sorted(names))
    return [tier for tier in tiers if tier is not None]


def group_of(topic: Topic, settings: BusSettings) -> str:
    """Return the consumer group of a delay topic's tier."""
    return settings.group(f"delay-{topic.id.rpartition('.')[2]}")


class DelayTier:
    """One delay topic: waits, then writes each record unchanged to the topic of due webhooks.

    `chunk`: records released at once; None for all that are due.
    """

    chunk: int | None = None

    def __init__(self, topic: Topic, settings: BusSettings, producer: Producer, clock: Clock, lost: Lost) -> None:
        self.released = 0
        self._lost = lost
        self._topic = topic
        self._delay_ms = topic.delay_ms or 0
        self._due_topic = settings.catalogue["webhooks_due"].name
        self._settings = settings
        self._producer = producer
        self._clock = clock
        self._held: dict[Any, deque[_Held]] = {}
        self._releasing = asyncio.Lock()
        self._consumer: Any = None

    @property
    def group(self) -> str:
        """Consumer group: each tier has its own, so that its rebalances affect nothing else."""
        return group_of(self._topic, self._settings)

    @property
    def delay(self) -> str:
        """Name of the delay: `1m`, or `parked`."""
        return self._topic.id.rpartition(".")[2].removeprefix("webhooks_")

    def overdue(self) -> float:
        """Seconds by which the oldest held webhook is overdue; 0 if none is."""
        first = min((held[0].release_at for held in self._held.values() if held), default=math.inf)
        return max(0.0, self._clock.monotonic() - first)

    async def run(self) -> None:
        """Release what is due, forever. Raises aiokafka.errors.KafkaError if Kafka is unavailable."""
        async with group_consumer(
            self._settings,
            self.group,
            [self._topic.name],
            placed=partial(go_on_where_committed, lost=self._lost),
            revoked=self.let_go,
            max_partition_fetch_bytes=FETCH_BYTES,
            session_timeout_ms=10_000,
            heartbeat_interval_ms=3_000,
        ) as self._consumer:
            while True:
                wait_ms = max(0, round(self._wait() * 1000))
                self._hold(await self._consumer.getmany(timeout_ms=wait_ms, max_records=HELD))
                async with self._releasing:
                    rest = await self._release()
                if rest:
                    await self._clock.sleep(rest)

    async def let_go(self, revoked: Iterable[Any]) -> None:
        """Finish the current release and forget held records: the next owner reads them again."""
        try:
            async with asyncio.timeout(REVOKE_WAIT), self._releasing:
                pass
        except TimeoutError:
            log.warning("a release did not finish within %.0f s; the next owner may repeat it", REVOKE_WAIT)
        for tp in revoked:
            self._held.pop(tp, None)

    def _hold(self, fetched: dict[Any, list[Any]]) -> None:
        now_ms, now = self._clock.now_ms(), self._clock.monotonic()
        assigned = self._consumer.assignment()
        for tp, records in fetched.items():
            if tp in assigned:  # otherwise it was revoked after these were fetched
                held = self._held.setdefault(tp, deque())
                held.extend(_Held(r, now + wait_seconds(r, self._delay_ms, now_ms)) for r in records)
                self._consumer.pause(tp)

    def _wait(self) -> float:
        first = min((held[0].release_at for held in self._held.values()), default=float("inf"))
        return min(first - self._clock.monotonic(), LONGEST_WAIT)

    async def _release(self) -> float:
        """Release what is due. Returns the seconds until the next release."""
        now, room = self._clock.monotonic(), self.chunk or math.inf
        due: dict[Any, list[Any]] = {}
        for tp, held in list(self._held.items()):
            while held and held[0].release_at <= now and room > 0:
                due.setdefault(tp, []).append(held.popleft().record)
                room -= 1
            if not held:
                del self._held[tp]
                self._consumer.resume(tp)
        if not due:
            return 0.0
        rest = await self._write([record for records in due.values() for record in records])
        await commit_what_is_mine(self._consumer, {tp: records[-1].offset + 1 for tp, records in due.items()})
        return rest

    async def _write(self, records: list[Any]) -> float:
        partitions = await self._producer.partitions(self._due_topic)
        await self._producer.send_all(
            Addressed(
                self._due_topic,
                record.value,
                record.key or b"",
                list(record.headers),
                due_partition(TaskHeaders.decode(record.headers), partitions),
            )
            for record in records
        )
        self.released += len(records)
        return 0.0


class DelayTiers:
    """All delay tiers of the broker and the `parked` one, a task each. `crash` is called when one fails, `lost` when
    retention has deleted webhooks before they were due."""

    def __init__(
        self,
        settings: BusSettings,
        producer: Producer,
        clock: Clock,
        crash: Callable[[BaseException], Awaitable[None]],
        lost: Lost,
        *,
        parked: DelayTier | None = None,
    ) -> None:
        self._parked = parked
        self.tiers: list[DelayTier] = []
        self._settings = settings
        self._producer = producer
        self._clock = clock
        self._crash = crash
        self._lost = lost
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start. Raises RuntimeError if a delay topic of the schedule is missing."""
        topics = await asyncio.to_thread(existing_tiers, self._settings)
        self.tiers = [DelayTier(topic, self._settings, self._producer, self._clock, self._lost) for topic in topics]
        if self._parked is not None:
            self.tiers.append(self._parked)
        self._tasks = [asyncio.create_task(self._run(tier)) for tier in self.tiers]

    async def stop(self) -> None:
        """Stop within about a second. Unreleased records stay where they are."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def _run(self, tier: DelayTier) -> None:
        try:
            await tier.run()
        except Exception as error:
            log.critical("the delay tier of group %s failed: %s: %s", tier.group, type(error).__name__, error)
            await self._crash(error)
