"""The process's only producer: acks=all, idempotent, one aiokafka producer for events and changelogs alike.

An idempotent producer numbers its records, and a broker accepts them only in that order. When a broker rejects one (too
large, time out of bounds), aiokafka keeps counting, so every later record for that partition is rejected too, until the
broker forgets the producer after a day. So any failure replaces the aiokafka producer. Records pending in the old one
are acknowledged or fail first, so that none overtakes another; those that failed only because of an earlier one are
then resent by the new producer, in order.

aiokafka never gives up a numbered record. Here, an unacknowledged record fails after a timeout, and the producer that
still holds it is abandoned, so that the record is not stored later. A producer that holds back a record while others
overtake it is abandoned, too.

Records may be bound to a generation of a consumer group. A process may be frozen after it has given them to aiokafka,
and wake up when their partitions have another owner, whose records they would replace. So whoever knows is asked
whenever some are about to be sent. If the generation is over, its records fail, and the producer that holds them is
abandoned.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache, partial
from random import randrange
from typing import Any

from aiokafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    UnknownProducerId,
)
from aiokafka.partitioner import DefaultPartitioner

from bus.clients import new_producer, started
from bus.errors import PartitionsLost
from bus.outstanding import Outstanding
from bus.sent import Addressed, Batch, Give, GivenUp, Keyed, Sent, fail_all_of, failed
from bus.settings import BusSettings

log = logging.getLogger(__name__)

MAX_REQUEST_BYTES = 6 << 20
"""A record of `sms.rejected` holds a whole callback (4 MiB) and the reason."""

DELIVERY_TIMEOUT = 300.0
"""Seconds for a record to be acknowledged. A worker should wait rather than exit: its next start would find no broker
either."""

FINISH_TIMEOUT = 30.0
"""Seconds for a failed producer's pending records to be acknowledged."""

REQUESTS_END = 6.0
"""Seconds to wait for open requests of an abandoned producer: a silent broker costs `bus.clients.REQUEST_TIMEOUT` and a
connection."""

LAST_CHANCE = 1.0
"""Seconds to wait for other records in a producer that has held one for too long."""

RENEWAL_PAUSE = 0.5
"""Seconds between one producer's end and the next: if every record is rejected, each costs a new producer."""

_FOR_OTHERS = (OutOfOrderSequenceNumber, UnknownProducerId, ProducerFenced, ProducerClosed)
"""Errors that do not come from the record itself, but from an earlier record or from its producer."""

Confirm = Callable[[int], Awaitable[None]]
"""Returns while a group generation certainly lasts. Raises PartitionsLost once it is over."""

_AT_ANY_RATE = 2
"""Attempts for a record whose producer died of an unknown error: the record may be the cause."""


@lru_cache(10_000)
def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a key by Kafka's default partitioner (murmur2), as `send` without a partition
    chooses it."""
    numbers = list(range(partitions))
    return int(DefaultPartitioner()(key, numbers, numbers))


class Producer:
    """Sends records. `send` returns a future that completes when all in-sync replicas have the record.

    A failed future means that the record may be missing; it fails at the latest after `delivery_timeout` seconds.
    `renewals` counts how often a new aiokafka producer replaced a failed one; sends wait meanwhile. `failures` counts
    unacknowledged records by error.
    """

    def __init__(
        self,
        settings: BusSettings,
        *,
        linger_ms: int = 0,
        delivery_timeout: float = DELIVERY_TIMEOUT,
        confirm: Confirm | None = None,
    ) -> None:
        self.renewals = 0
        self._outstanding = Outstanding()
        self.failures = self._outstanding.failures
        self._settings = settings
        self._linger_ms = linger_ms
        self._timeout = delivery_timeout
        self._confirm = confirm
        self._producer: Any = None
        self._failed: Any = None
        """The aiokafka producer to replace."""
        self._patience = FINISH_TIMEOUT
        self._renewing: asyncio.Task[None] | None = None
        self._expiring: asyncio.Task[None] | None = None
        self._stopped = False
        self._counts: dict[str, int] = {}
        """Partition counts when the topics were first written to. Keyed records keep their partitions, which hold their
        state, even if somebody adds more."""

    async def start(self) -> None:
        """Connect. Raises aiokafka.errors.KafkaConnectionError if no broker answers."""
        self._producer = await self._connect()
        self._expiring = asyncio.create_task(self._expire())

    async def stop(self) -> None:
        """Flush the buffer, then disconnect."""
        self._stopped = True
        if self._expiring is not None:
            self._expiring.cancel()
        if self._renewing is not None:
            await asyncio.wait([self._renewing])
        if self._producer is not None:
            await self._producer.stop()
            await asyncio.sleep(0)  # let those who wait for an acknowledgment be notified
        for sent in self._outstanding.given():
            self._outstanding.fail(sent, ProducerClosed())

    async def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: list[tuple[str, bytes]] | None = None,
        partition: int | None = None,
    ) -> asyncio.Future[Any]:
        """Queue a record; waits only while the buffer is full or the producer is being replaced. The future returns the
        metadata."""
        return await self._hand_over(lambda p: self._send(p, topic, value, key, headers, partition))

    async def _send(
        self, producer: Any, topic: str, value: Any, key: bytes | None, headers: Any, partition: int | None
    ) -> asyncio.Future[Any]:
        if partition is None and key is not None:
            partition = partition_of(key, self._counts.get(topic) or await self._count(producer, topic))
        future: asyncio.Future[Any] = await producer.send(topic, value, key=key, partition=partition, headers=headers)
        return future

    async def send_batch(
        self, topic: str, partition: int, records: Iterable[Keyed], generation: int | None = None
    ) -> int:
        """Write one partition's records in order, and wait until all are acknowledged; returns the last offset, or -1
        if Kafka does not report it.

        For bulk writes: a record costs a fifth of `send`. With a `generation`, records are sent only while that group
        generation lasts. Raises PartitionsLost once it is over, and KafkaError if some were not acknowledged; which
        ones is unknown.
        """
        left, sent = list(records), []
        while left:
            batch = Batch(self._producer, topic, partition, left)
            sent.append(await self._hand_over(batch, generation))
            left = left[batch.size :]
        offsets: list[int] = await asyncio.gather(*sent)
        return offsets[-1]

    async def send_all(self, records: Iterable[Addressed], generation: int | None = None) -> None:
        """Write records, in order within each partition, and wait until all are acknowledged.

        Raises the same as `send_batch`.
        """
        groups: defaultdict[tuple[str, int], list[Keyed]] = defaultdict(list)
        for topic, value, key, headers, partition in records:
            if partition is None:
                count = self._counts.get(topic) or await self._count(self._producer, topic)
                partition = randrange(count) if key is None else partition_of(key, count)
            groups[topic, partition].append(Keyed(key, value, headers))
        await asyncio.gather(*(self.send_batch(*place, group, generation) for place, group in groups.items()))

    async def _count(self, producer: Any, topic: str) -> int:
        count = self._counts[topic] = len(await producer.partitions_for(topic))
        return count

    async def partitions(self, topic: str) -> int:
        """Return a topic's partition count."""
        return len(await self._producer.partitions_for(topic))

    async def is_answered(self) -> bool:
        """Fetch metadata, and return whether a broker answered."""
        return self._renewing is None and bool(await self._producer.client.force_metadata_update())

    async def counts(self) -> dict[str, int]:
        """Return the partition count of every topic on the brokers. Raises KafkaError."""
        cluster = await self._producer.client.fetch_all_metadata()
        return {topic: len(cluster.partitions_for_topic(topic)) for topic in cluster.topics()}

    @property
    def waiting(self) -> float:
        """Seconds for which the oldest unacknowledged record has waited; 0 if there is none."""
        return self._outstanding.waiting

    def problem(self) -> str | None:
        """Return why nothing can be sent right now, or None."""
        replaced = None if self._renewing is None else "a failed producer is being replaced"
        return self._outstanding.problem() or replaced

    async def _hand_over(self, give: Give, generation: int | None = None) -> asyncio.Future[Any]:
        sent = Sent(give, generation)
        self._outstanding.ask(sent)
        try:
            while True:
                while self._renewing is not None:
                    await asyncio.wait([self._renewing])
                if sent.result.done():  # its generation is over
                    return sent.result
                producer = self._producer
                try:
                    future = await give(producer)
                except ProducerClosed:
                    # It was closed while this waited for room or metadata.
                    if producer is self._producer and self._renewing is None:
                        raise
                except KafkaError as error:
                    # Most errors here concern the record, before it was numbered. But a dead sender rejects everything.
                    if self._stopped or not producer._sender.sender_task.done():
                        raise
                    self._renew(producer, error)
                else:
                    self._outstanding.give(sent)
                    future.add_done_callback(partial(self._look, producer, sent))
                    return sent.result
        except asyncio.CancelledError:
            if not sent.is_late:
                raise
            sent.task.uncancel()
            raise self._too_late() from None
        finally:
            self._outstanding.asked(sent)

    def _look(self, producer: Any, sent: Sent, future: asyncio.Future[Any]) -> None:
        """Handle the outcome of a record."""
        error = ProducerClosed() if future.cancelled() else future.exception()
        if error is None:
            self._outstanding.acknowledge(sent, future.result())
            return
        sent.tries += 1
        is_sound = isinstance(error, (*_FOR_OTHERS, GivenUp)) or (
            type(error) is KafkaError and sent.tries < _AT_ANY_RATE
        )
        if self._stopped or not is_sound:
            self._outstanding.fail(sent, error)
        self._renew(producer, error)

    async def _permit(self, producer: Any, confirm: Confirm) -> None:
        """Let an aiokafka producer send what it holds. Raises GivenUp, from then on whenever it asks, if some of it
        belongs to a generation that is over."""
        for generation in self._outstanding.generations():
            try:
                await confirm(generation)
            except PartitionsLost as lost:
                producer.client.permit = _refused
                self._outstanding.lose(generation, lost)
                await _refused()

    def _renew(self, broken: Any, error: BaseException, patience: float = FINISH_TIMEOUT) -> None:
        if broken is not self._producer or self._failed is broken or self._stopped:
            return
        log.error("a record was not accepted (%s): replacing the producer", _said(error))
        self._failed, self._patience = broken, patience
        if self._renewing is None:
            self._renewing = asyncio.get_running_loop().create_task(self._replace())

    async def _replace(self) -> None:
        try:
            while self._failed is self._producer and not self._stopped:
                await self._finish(self._producer)
                await asyncio.sleep(RENEWAL_PAUSE if self.renewals else 0.0)
                if (producer := await self._reconnect()) is not None:
                    self._producer = producer
                    self.renewals += 1
                    await self._give_again(producer)
        finally:
            self._renewing = self._failed = None

    async def _finish(self, broken: Any) -> None:
        """Let everything queued be acknowledged or fail, then disconnect."""
        stopping = asyncio.ensure_future(broken.stop())
        done, _ = await asyncio.wait([stopping], timeout=min(self._timeout, self._patience))
        if not done:
            # The sender waits for open requests, each as long as a broker may take. A hanging request is canceled along
            # with it on the second call.
            for _ in range(2):
                broken._sender.sender_task.cancel()
                await asyncio.wait([stopping], timeout=min(self._timeout, REQUESTS_END))
        # Even one that has stopped keeps what was queued while it finished, and others wait behind that.
        fail_all_of(broken._message_accumulator)
        if not done:
            await broken.client.close()
        await asyncio.sleep(0)  # `_look` has seen everything

    async def _reconnect(self) -> Any:
        """Return a new aiokafka producer once a broker answers; None if this one is stopped meanwhile."""
        while not self._stopped:
            try:
                return await self._connect()
            except (KafkaError, OSError) as error:
                log.warning("no new producer yet: %s", _said(error))
                await asyncio.sleep(RENEWAL_PAUSE)
        return None

    async def _give_again(self, producer: Any) -> None:
        """Give unacknowledged records to a new producer, in order."""
        for sent in self._outstanding.given():
            if producer is self._failed or self._stopped:
                return
            if not self._outstanding.keeps(sent):
                continue
            try:
                future = await sent.give(producer)
            except Exception as error:
                self._look(producer, sent, failed(error))
            else:
                future.add_done_callback(partial(self._look, producer, sent))

    async def _expire(self) -> None:
        """Fail records that are not acknowledged in time, and make sure that they are not stored later."""
        while True:
            await asyncio.sleep(min(self._timeout / 4, 1.0))
            if self._outstanding.expire(self._timeout, self._too_late):
                self._renew(self._producer, self._too_late(), LAST_CHANCE)
            self._free_overtaken()

    def _free_overtaken(self) -> None:
        """Abandon a producer that holds its oldest record while sending others; a new one sends it."""
        if self._renewing is None and (seconds := self._outstanding.overtaken()) is not None:
            error = KafkaTimeoutError(f"it is still waiting, but a record sent {seconds:.0f} s later is acknowledged")
            self._renew(self._producer, error, LAST_CHANCE)

    def _too_late(self) -> KafkaError:
        return KafkaTimeoutError(f"not acknowledged in {self._timeout:g} s")

    async def _connect(self) -> Any:
        compression = self._settings.compression
        producer = new_producer(
            self._settings,
            acks="all",
            enable_idempotence=True,
            linger_ms=self._linger_ms,
            compression_type=None if compression == "none" else compression,
            max_batch_size=131_072,
            max_request_size=MAX_REQUEST_BYTES,
            retry_backoff_ms=100,
        )
        # aiokafka uses one timeout both for requests and for records that wait for a leader or for room.
        producer._request_timeout_ms = int(self._timeout * 1000)
        producer._message_accumulator._batch_ttl = self._timeout
        if self._confirm is not None:
            producer.client.permit = partial(self._permit, producer, self._confirm)
        return await started(producer)


async def _refused() -> None:
    raise GivenUp("it holds records of partitions that another process owns now")


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


__all__ = ["DELIVERY_TIMEOUT", "MAX_REQUEST_BYTES", "Addressed", "KafkaError", "Keyed", "Producer", "partition_of"]
