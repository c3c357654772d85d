"""Consumers without a group, which see everything and commit nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import TopicPartition

from bus.clients import new_consumer, started
from bus.settings import BusSettings

__all__ = ["TopicPartition", "outside_consumer", "started_outside", "times_at", "value_at"]

READ_SECONDS = 10.0
"""Seconds that `times_at` may take."""


@asynccontextmanager
async def outside_consumer(settings: BusSettings, topics: Iterable[str] = (), **options: Any) -> AsyncIterator[Any]:
    """Open a consumer without a group, for the duration of the block. `options` are aiokafka's.

    It knows the partitions of `topics` from the start; for any other topic, aiokafka makes a separate request.

    Raises aiokafka.errors.KafkaError.
    """
    consumer = new_consumer(settings, **options)
    try:
        await consumer.start()
        # Stopping a consumer before its tasks have begun raises CancelledError from aiokafka.
        await asyncio.sleep(0)
        if names := list(topics):
            await consumer._client.set_topics(names)
        yield consumer
    finally:
        await consumer.stop()


async def value_at(settings: BusSettings, partition: TopicPartition, offset: int, **options: Any) -> bytes | None:
    """Return the value of one record, or None if the log no longer has it, or does not have it yet. `options` are
    aiokafka's.

    Raises aiokafka.errors.KafkaError.
    """
    async with outside_consumer(settings, auto_offset_reset="none", **options) as consumer:
        consumer.assign([partition])
        begin = (await consumer.beginning_offsets([partition]))[partition]
        end = (await consumer.end_offsets([partition]))[partition]
        if not begin <= offset < end:
            return None
        consumer.seek(partition, offset)
        record = await consumer.getone(partition)
        return record.value if record.offset == offset else None


async def times_at(settings: BusSettings, places: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """Return the time (ms) of the first record at or after an offset, by partition, as far as Kafka answers within
    READ_SECONDS.

    Raises aiokafka.errors.KafkaError.
    """
    found: dict[TopicPartition, int] = {}
    async with outside_consumer(settings, {tp.topic for tp in places}, auto_offset_reset="earliest") as consumer:
        consumer.assign(list(places))
        for tp, offset in places.items():
            consumer.seek(tp, offset)
        deadline = time.monotonic() + READ_SECONDS
        while len(found) < len(places) and time.monotonic() < deadline:
            for tp, records in (await consumer.getmany(timeout_ms=500)).items():
                found.setdefault(tp, records[0].timestamp)
                consumer.pause(tp)
    return found


async def started_outside(settings: BusSettings, **options: Any) -> Any:
    """Return a started consumer without a group; the caller stops it. Raises aiokafka.errors.KafkaError."""
    return await started(new_consumer(settings, **options))
