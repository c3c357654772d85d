"""Consumers without a group, which see everything and commit nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import TopicPartition

from bus.clients import new_consumer, started
from bus.settings import BusSettings

__all__ = ["TopicPartition", "outside_consumer", "started_outside", "value_at"]


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


async def started_outside(settings: BusSettings, **options: Any) -> Any:
    """Return a started consumer without a group; the caller stops it. Raises aiokafka.errors.KafkaError."""
    return await started(new_consumer(settings, **options))
