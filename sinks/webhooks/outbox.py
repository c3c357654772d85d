"""Writes the sink's records to Kafka: a delivery settles when its record is acknowledged."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from bus.errors import MessageSizeTooLargeError
from schemas.cloudevents import Headers
from schemas.codec import Codec
from schemas.records import Record
from sinks.webhooks.window import Admission

log = logging.getLogger(__name__)

TURN = 100
"""Records after which other tasks get a turn."""


class RecordProducer(Protocol):
    """What the outbox needs from `bus.producer.Producer`."""

    async def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers | None = None,
        partition: int | None = None,
    ) -> asyncio.Future[Any]:
        """Send one record; the future completes when it is acknowledged."""

    async def partitions(self, topic: str) -> int:
        """Return a topic's partition count."""


@dataclass(frozen=True, slots=True, eq=False)
class Outgoing:
    """A record to write. `topic` is its name on Kafka; without a partition, the key decides."""

    topic: str
    record: Record
    key: bytes | None
    headers: Headers
    admission: Admission
    partition: int | None = None


class Outbox:
    """Writes records one after the other, without waiting for each acknowledgment.

    `settled` is called with the admission once a record is acknowledged, `too_large` with a record that Kafka rejects
    for its size, `broken` with any other error: then nothing can be written, and the worker must stop.
    """

    def __init__(
        self,
        producer: RecordProducer,
        codec: Codec,
        *,
        settled: Callable[[Admission], None],
        too_large: Callable[[Outgoing], None],
        broken: Callable[[BaseException], None],
    ) -> None:
        self._producer = producer
        self._codec = codec
        self._settled = settled
        self._too_large = too_large
        self._broken = broken
        self._queue: deque[Outgoing] = deque()
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start writing."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        """Stop writing; unwritten records do not settle."""
        if self._task is not None:
            self._task.cancel()

    def put(self, outgoing: Outgoing) -> None:
        """Queue a record."""
        self._queue.append(outgoing)
        self._arrived.set()

    async def _run(self) -> None:
        try:
            while True:
                self._arrived.clear()
                for number in range(len(self._queue)):
                    await self._send(self._queue.popleft())
                    if number % TURN == TURN - 1:
                        await asyncio.sleep(0)
                if not self._queue:
                    await self._arrived.wait()
        except Exception as error:
            self._broken(error)

    async def _send(self, outgoing: Outgoing) -> None:
        value = self._codec.encode(outgoing.record)
        try:
            future = await self._producer.send(
                outgoing.topic, value, key=outgoing.key, headers=outgoing.headers, partition=outgoing.partition
            )
        except MessageSizeTooLargeError:
            self._too_large(outgoing)
            return
        future.add_done_callback(partial(self._acknowledged, outgoing))

    def _acknowledged(self, outgoing: Outgoing, future: asyncio.Future[Any]) -> None:
        if future.cancelled():
            return
        error = future.exception()
        if error is None:
            self._settled(outgoing.admission)
        elif isinstance(error, MessageSizeTooLargeError):
            self._too_large(outgoing)
        else:
            self._broken(error)
