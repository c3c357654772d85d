"""Writes callbacks to `sms.raw` and waits for the acknowledgement of all in-sync replicas."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from bus.producer import KafkaError, Producer
from schemas.cloudevents import event_headers
from schemas.codec import Codec
from schemas.records import RawCallback
from schemas.topics import Topic

log = logging.getLogger(__name__)

STICKY_RECORDS = 64
"""Callbacks have no key. Records in a row to one partition share its produce request; then the next takes its turn."""


class NotStored(Exception):
    """Kafka did not acknowledge the callback in time. It may still be stored later: a duplicate, not a loss."""


class CallbackWriter:
    """Appends callbacks to the raw topic."""

    def __init__(self, producer: Producer, codec: Codec, topic: Topic, ack_timeout: float) -> None:
        self._producer = producer
        self._codec = codec
        self._topic = topic
        self._timeout = ack_timeout
        self._written = 0
        self._partitions = 0

    async def start(self) -> None:
        """Learn how many partitions there are."""
        self._partitions = await self._producer.partitions(self._topic.name)

    async def write(self, callback: RawCallback, traceparent: bytes | None) -> None:
        """Return when the callback is durable. Raises NotStored when that takes too long or fails."""
        value = self._codec.encode(callback)
        headers = event_headers(callback, callback.event_id, callback.received_at, traceparent)
        self._written += 1
        partition = self._written // STICKY_RECORDS % self._partitions
        try:
            async with asyncio.timeout(self._timeout):
                acknowledged = await self._producer.send(self._topic.name, value, headers=headers, partition=partition)
                acknowledged.add_done_callback(_retrieved)
                await asyncio.shield(acknowledged)
        except (TimeoutError, KafkaError) as error:
            log.warning("a callback was not stored: %s", type(error).__name__)
            raise NotStored from error


def _retrieved(future: asyncio.Future[Any]) -> None:
    # A record that fails after its caller has gone must not be reported as an error nobody looked at.
    if not future.cancelled():
        future.exception()
