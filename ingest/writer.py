"""Writes callbacks to `sms.raw` and waits until all in-sync replicas acknowledge them.

While Kafka does not acknowledge, every queued record waits and is stored later, next to the retry from the provider
that got a 503. So a callback that cannot be stored in time is refused at once, except for one a second, which probes
whether Kafka takes records again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from bus.logs import about, repetitive_logger
from bus.producer import KafkaError, Producer
from schemas.cloudevents import event_headers
from schemas.codec import Codec
from schemas.records import RawCallback
from schemas.topics import Topic

log = repetitive_logger(__name__)

STICKY_RECORDS = 64
"""Callbacks have no key. This many in a row go to one partition and share a produce request; then the next partition
takes over."""

LINGER_MS = 5
"""Milliseconds that a callback waits for others to share its produce request."""

PROBE_EVERY = 1.0
"""Seconds between the callbacks that probe Kafka while it keeps others waiting too long."""


class NotStored(Exception):
    """Kafka did not acknowledge the callback in time. It may still be stored later, as a duplicate."""


class CallbackWriter:
    """Appends callbacks to the raw topic."""

    def __init__(self, producer: Producer, codec: Codec, topic: Topic, ack_timeout: float) -> None:
        self._producer = producer
        self._codec = codec
        self._topic = topic
        self._timeout = ack_timeout
        self._written = 0
        self._probed_at = 0.0
        self._partitions = 0

    async def start(self) -> None:
        """Look up the number of partitions."""
        self._partitions = await self._producer.partitions(self._topic.name)

    def note_partitions(self, counts: Mapping[str, int]) -> None:
        """Update partition counts: somebody may have added partitions or recreated the topic."""
        self._partitions = counts.get(self._topic.name) or self._partitions

    async def write(self, callback: RawCallback, traceparent: bytes | None, answer_within: float | None = None) -> None:
        """Write a callback durably. Raises NotStored when that takes too long or fails.

        It may take `answer_within` seconds, or else as long as the setting says.
        """
        patience = self._timeout if answer_within is None else answer_within
        if self._producer.waiting > patience and not self._may_probe():
            raise NotStored
        value = self._codec.encode(callback)
        headers = event_headers(callback, callback.event_id, callback.received_at, traceparent)
        self._written += 1
        partition = self._written // STICKY_RECORDS % self._partitions
        try:
            async with asyncio.timeout(patience):
                acknowledged = await self._producer.send(self._topic.name, value, headers=headers, partition=partition)
                acknowledged.add_done_callback(_retrieved)
                await asyncio.shield(acknowledged)
        except (TimeoutError, KafkaError) as error:
            log.warning(
                "callback not stored: %s",
                type(error).__name__,
                extra=about(traceparent=traceparent, account=callback.account, provider=callback.provider),
            )
            raise NotStored from error

    def _may_probe(self) -> bool:
        now = time.monotonic()
        if now - self._probed_at < PROBE_EVERY:
            return False
        self._probed_at = now
        return True


def _retrieved(future: asyncio.Future[Any]) -> None:
    # Retrieve the error of a record whose caller has gone, or asyncio reports it as never retrieved.
    if not future.cancelled():
        future.exception()
