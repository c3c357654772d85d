"""The one producer of a process: acks=all, idempotent, one aiokafka producer for events and changelogs alike."""

from __future__ import annotations

import asyncio
from typing import Any

import aiokafka
from aiokafka.errors import KafkaError

from bus.settings import BusSettings

MAX_REQUEST_BYTES = 6 << 20
"""A record of `sms.rejected` holds a whole callback (4 MiB) and the reason."""

DELIVERY_TIMEOUT = 60.0
"""Seconds in which a record must be acknowledged; a broker that restarts comes back sooner."""


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

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        return len(await self._producer.partitions_for(topic))


__all__ = ["DELIVERY_TIMEOUT", "MAX_REQUEST_BYTES", "KafkaError", "Producer"]
