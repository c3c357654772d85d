"""The one producer of a process: acks=all, idempotent, one aiokafka producer for events and changelogs alike."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import aiokafka
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from bus.settings import BusSettings

MAX_REQUEST_BYTES = 6 << 20
"""A record of `sms.rejected` holds a whole callback (4 MiB) and the reason."""

DELIVERY_TIMEOUT = 60.0
"""Seconds in which a record must be acknowledged; a broker that restarts comes back sooner."""


class Keyed(NamedTuple):
    """A record to write: key, value, headers."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


@lru_cache(10_000)
def partition_of(key: bytes, partitions: int) -> int:
    """Partition of a key by Kafka's default partitioner (murmur2), as `send` without a partition chooses it."""
    numbers = list(range(partitions))
    return int(DefaultPartitioner()(key, numbers, numbers))


class Producer:
    """Sends records. `send` gives a future that is done when all in-sync replicas have the record."""

    def __init__(
        self, settings: BusSettings, *, linger_ms: int = 0, delivery_timeout: float = DELIVERY_TIMEOUT
    ) -> None:
        self._settings = settings
        self._linger_ms = linger_ms
        self._timeout = delivery_timeout
        self._producer: Any = None

    async def start(self) -> None:
        """Connect. Raises aiokafka.errors.KafkaConnectionError when no broker answers."""
        compression = self._settings.compression
        self._producer = aiokafka.AIOKafkaProducer(
            acks="all",
            enable_idempotence=True,
            linger_ms=self._linger_ms,
            compression_type=None if compression == "none" else compression,
            max_batch_size=131_072,
            max_request_size=MAX_REQUEST_BYTES,
            request_timeout_ms=int(self._timeout * 1000),
            metadata_max_age_ms=60_000,
            retry_backoff_ms=100,
            **self._settings.aiokafka(),
        )
        try:
            await self._producer.start()
        except BaseException:
            await self._producer.stop()
            raise

    async def stop(self) -> None:
        """Send what is buffered, then disconnect."""
        if self._producer is not None:
            await self._producer.stop()

    async def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: list[tuple[str, bytes]] | None = None,
        partition: int | None = None,
    ) -> asyncio.Future[Any]:
        """Hand over one record; waits only while the buffer is full. The future gives the record's metadata."""
        future: asyncio.Future[Any] = await self._producer.send(
            topic, value, key=key, partition=partition, headers=headers
        )
        return future

    async def send_batch(self, topic: str, partition: int, records: Iterable[Keyed]) -> None:
        """Write records of one partition in their order, and return when all are acknowledged.

        For many at a time: a record costs a quarter of what it costs in `send`. Raises KafkaError when some were not
        acknowledged; which ones, is not known.
        """
        sent = []
        batch = self._producer.create_batch()
        for key, value, headers in records:
            if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
                sent.append(await self._producer.send_batch(batch, topic, partition=partition))
                batch = self._producer.create_batch()
                batch.append(timestamp=None, key=key, value=value, headers=headers)
        if batch.record_count():
            # Closed, so that no `send` adds to it.
            batch.close()
            sent.append(await self._producer.send_batch(batch, topic, partition=partition))
        await asyncio.gather(*sent)

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        return len(await self._producer.partitions_for(topic))


__all__ = ["DELIVERY_TIMEOUT", "MAX_REQUEST_BYTES", "KafkaError", "Keyed", "Producer", "partition_of"]
