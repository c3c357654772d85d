"""Writes callbacks to `sms.raw` and waits for the acknowledgement of all in-sync replicas.

While Kafka does not acknowledge, whatever is handed over waits for it and is stored later, beside the repeat of the
provider that was answered 503. So a callback that has no prospect of being stored in its time is refused at once, but
for one a second, which finds out when Kafka takes records again.
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
"""Callbacks have no key. Records in a row to one partition share its produce request; then the next takes its turn."""


PROBE_EVERY = 1.0
"""Seconds between two callbacks that are handed over though Kafka keeps others waiting for too long."""


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
        self._probed_at = 0.0
        self._partitions = 0

    async def start(self) -> None:
        """Learn how many partitions there are."""
        self._partitions = await self._producer.partitions(self._topic.name)

    def note_partitions(self, counts: Mapping[str, int]) -> None:
        """Take in how many partitions topics have now: somebody may have added some, or made the topic anew."""
        self._partitions = counts.get(self._topic.name) or self._partitions

    async def write(self, callback: RawCallback, traceparent: bytes | None, answer_within: float | None = None) -> None:
        """Return when the callback is durable. Raises NotStored when that takes too long or fails.

        It may take `answer_within` seconds, or as many as the setting says.
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
                "a callback was not stored: %s",
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
    # A record that fails after its caller has gone must not be reported as an error nobody looked at.
    if not future.cancelled():
        future.exception()
