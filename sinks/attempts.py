"""The log of attempts: every request to an endpoint, on a topic of its own.

It never slows a webhook down. Records wait in a bounded queue and are written a few times a second, each batch
acknowledged before the next; while Kafka takes nothing and the queue is full, further attempts are not logged,
and counted. A process that is killed loses the attempts of its last moments: the webhooks themselves are safe.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from functools import lru_cache
from typing import Protocol

import aiokafka
from aiokafka.errors import KafkaError

from bus.producer import Keyed, partition_of
from bus.settings import BusSettings
from schemas.cloudevents import event_headers
from schemas.codec import Codec, CodecError
from schemas.records import WebhookAttempt
from sinks.delivery import Delivery
from sinks.redaction import without_query
from sinks.retry import Outcome

log = logging.getLogger(__name__)

EVERY = 0.1
"""Seconds between two batches."""

WAITING = 20_000
"""Attempts that may wait to be written. One is about 1 KiB, 2 KiB with the longest answer."""

TURN = 100
"""Records after which other work gets its turn."""

LOOK_BACK_SECONDS = 30.0
"""How long `answered_since` looks at most."""

shown_url = lru_cache(10_000)(without_query)


def attempt_of(
    delivery: Delivery, outcome: Outcome, url: str, seconds: float, now: int, next_at: int | None
) -> WebhookAttempt:
    """Record of an attempt that ended `now` (ms), after `seconds`. `next_at` is when it is tried again, in ms."""
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
    )


class BatchProducer(Protocol):
    """What the log needs of `bus.producer.Producer`."""

    async def send_batch(self, topic: str, partition: int, records: Iterable[Keyed]) -> None:
        """Write records of one partition, acknowledged."""

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""


class AttemptLog:
    """Writes attempts, in order, as far as Kafka takes them. `lost` counts those that were not written."""

    def __init__(self, producer: BatchProducer, codec: Codec, topic: str, *, waiting: int = WAITING) -> None:
        self.lost = 0
        self._producer = producer
        self._codec = codec
        self._topic = topic
        self._bound = waiting
        self._queue: deque[WebhookAttempt] = deque()
        self._task: asyncio.Task[None] | None = None

    def put(self, attempt: WebhookAttempt) -> None:
        """Log an attempt soon."""
        if len(self._queue) < self._bound:
            self._queue.append(attempt)
        else:
            self.lost += 1

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Write what waits, once, then end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            await self.flush()

    async def flush(self) -> None:
        """Write what waits, and return when it is acknowledged or lost. Raises KafkaError only without any broker."""
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
            log.warning("%d attempts are not logged: %s", len(records), type(error).__name__)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self.flush()
            except Exception as error:
                log.error("attempts are not logged at the moment: %s: %s", type(error).__name__, error)


async def answered_since(settings: BusSettings, codec: Codec, endpoint: str, since: int) -> bool:
    """Whether any process has had a 2xx of an endpoint since a time (ms), by the log of attempts.

    False too where the log cannot be read, or not within LOOK_BACK_SECONDS.
    """
    topic = settings.catalogue["webhooks_attempts"]
    consumer = aiokafka.AIOKafkaConsumer(group_id=None, enable_auto_commit=False, **settings.aiokafka())
    try:
        async with asyncio.timeout(LOOK_BACK_SECONDS):
            await consumer.start()
            await consumer.topics()
            partitions = len(consumer.partitions_for_topic(topic.name) or (0,))
            number = partition_of(endpoint.encode(), partitions)
            return await _has_success(consumer, codec, aiokafka.TopicPartition(topic.name, number), endpoint, since)
    except (KafkaError, TimeoutError) as error:
        log.warning("the log of attempts cannot be read: %s", type(error).__name__)
        return False
    finally:
        await consumer.stop()


async def _has_success(
    consumer: aiokafka.AIOKafkaConsumer, codec: Codec, tp: aiokafka.TopicPartition, endpoint: str, since: int
) -> bool:
    consumer.assign([tp])
    end = (await consumer.end_offsets([tp]))[tp]
    start = (await consumer.offsets_for_times({tp: since}))[tp]
    if start is None:
        return False
    consumer.seek(tp, start.offset)
    key = endpoint.encode()
    while await consumer.position(tp) < end:
        for records in (await consumer.getmany(timeout_ms=500)).values():
            for record in records:
                if record.key != key:
                    continue
                try:
                    attempt = codec.decode_as(WebhookAttempt, record.value)
                except CodecError:
                    continue
                if attempt.error_class is None:
                    return True
    return False
