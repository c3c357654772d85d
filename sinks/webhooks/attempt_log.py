"""The log of attempts: every request to an endpoint, on a topic of its own.

It never slows a webhook down. Records wait in a bounded queue and are written a few times a second, each batch
acknowledged before the next. If Kafka is unavailable and the queue is full, further attempts are only counted. A killed
process loses its last attempts from the log; the webhooks themselves are safe.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterable
from functools import lru_cache
from typing import Protocol

from bus.admin import BrokerUnavailable
from bus.errors import KafkaError
from bus.producer import Keyed, partition_of
from bus.reading.ranges import FAR_AHEAD_MS, READ, Range, offsets_between, open_range, place_of
from bus.settings import BusSettings
from outbound.outcomes import Outcome
from outbound.redaction import without_query
from schemas.cloudevents import event_headers
from schemas.codec import Codec, CodecError
from schemas.records import WebhookAttempt
from sinks.webhooks.delivery import Delivery

log = logging.getLogger(__name__)

EVERY = 0.1
"""Seconds between two batches."""

WAITING = 20_000
"""Attempts that may wait to be written. One is about 1 KiB, or 2 KiB with the longest answer."""

TURN = 100
"""Records after which other tasks get a turn."""

LOOK_BACK_SECONDS = 30.0
"""Maximum seconds that `answered_since` reads."""

shown_url = lru_cache(10_000)(without_query)


def attempt_of(
    delivery: Delivery, outcome: Outcome, url: str, seconds: float, now: int, next_at: int | None
) -> WebhookAttempt:
    """Return the record of an attempt that ended `now` (ms), after `seconds`. `next_at` is the next attempt, in ms."""
    return WebhookAttempt(
        endpoint=delivery.endpoint,
        event_id=delivery.event_id,
        event=delivery.event,
        attempt=delivery.attempt,
        url=shown_url(url),
        status=outcome.status,
        error_class=outcome.error_class,
        latency_ms=round(seconds * 1000),
        response_head=outcome.head,
        request_size=len(delivery.body),
        at=now,
        next_attempt_at=next_at,
        final=next_at is None,
        asked=", ".join(outcome.asked) or None,
    )


class BatchProducer(Protocol):
    """What the log needs from `bus.producer.Producer`."""

    async def send_batch(self, topic: str, partition: int, records: Iterable[Keyed]) -> int:
        """Write records of one partition, acknowledged; returns the last offset."""

    async def partitions(self, topic: str) -> int:
        """Return a topic's partition count."""


class AttemptLog:
    """Writes attempts, in order, as far as Kafka accepts them. `lost` counts the others."""

    def __init__(self, producer: BatchProducer, codec: Codec, topic: str, *, waiting: int = WAITING) -> None:
        self.lost = 0
        self._producer = producer
        self._codec = codec
        self._topic = topic
        self._bound = waiting
        self._queue: deque[WebhookAttempt] = deque()
        self._waits = asyncio.Event()
        """Set while some wait to be written."""
        self._task: asyncio.Task[None] | None = None

    def put(self, attempt: WebhookAttempt) -> None:
        """Queue an attempt."""
        if len(self._queue) < self._bound:
            self._queue.append(attempt)
            self._waits.set()
        else:
            self.lost += 1

    def start(self) -> None:
        """Start writing."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Write the queue once, then stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            await self.flush()

    async def flush(self) -> None:
        """Write the queue, and return once it is acknowledged or lost. Raises KafkaError only if there is no broker."""
        partitions = await self._producer.partitions(self._topic)
        groups: dict[int, list[Keyed]] = {}
        for number in range(len(self._queue)):
            attempt = self._queue.popleft()
            key = attempt.endpoint.encode()
            headers = event_headers(attempt, f"{attempt.event_id}/{attempt.attempt}", attempt.at)
            groups.setdefault(partition_of(key, partitions), []).append(
                Keyed(key, self._codec.encode(attempt), headers)
            )
            if number % TURN == TURN - 1:
                await asyncio.sleep(0)
        await asyncio.gather(*(self._write(partition, records) for partition, records in groups.items()))

    async def _write(self, partition: int, records: list[Keyed]) -> None:
        try:
            await self._producer.send_batch(self._topic, partition, records)
        except KafkaError as error:
            self.lost += len(records)
            log.warning("%d attempts were not logged: %s", len(records), type(error).__name__)

    async def _run(self) -> None:
        while True:
            await self._waits.wait()
            await asyncio.sleep(EVERY)
            try:
                await self.flush()
            except Exception as error:
                log.error("attempts cannot be logged right now: %s: %s", type(error).__name__, error)
            if not self._queue:
                self._waits.clear()


async def attempts_in(source: Range, codec: Codec, endpoint: str) -> AsyncIterator[WebhookAttempt]:
    """Yield attempts to deliver to an endpoint, from a range of the log. Raises aiokafka.errors.KafkaError."""
    key = endpoint.encode()
    while (records := await source.batch(READ)) is not None:
        for record in records:
            if record.key != key:
                continue
            try:
                yield codec.decode_as(WebhookAttempt, record.value)
            except CodecError:
                continue


async def answered_since(settings: BusSettings, codec: Codec, endpoint: str, since: int) -> bool:
    """Whether any process has received a 2xx from an endpoint since a time (ms), by the log of attempts.

    False if the log cannot be read, or not within LOOK_BACK_SECONDS.
    """
    try:
        async with asyncio.timeout(LOOK_BACK_SECONDS):
            positions, ends = await offsets_between(settings, ("webhooks_attempts",), since, FAR_AHEAD_MS)
            if not ends:
                return False
            number = partition_of(endpoint.encode(), len(ends))
            own = place_of(settings.catalogue["webhooks_attempts"].name, number)
            async with open_range(settings, positions, {own: ends[own]}) as source:
                async for attempt in attempts_in(source, codec, endpoint):
                    if attempt.error_class is None:
                        return True
    except (KafkaError, BrokerUnavailable, TimeoutError) as error:
        log.warning("the log of attempts cannot be read: %s", type(error).__name__)
    return False
