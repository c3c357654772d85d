"""What is handed over to the producer, and how an aiokafka producer is given it, and given it up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from aiokafka.errors import KafkaError


class Keyed(NamedTuple):
    """A record to write to a partition: key, value (None: a tombstone), headers."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]] | None = None


class Addressed(NamedTuple):
    """A record to write to a topic, to the partition of its key if none is named."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    headers: list[tuple[str, bytes]] | None = None
    partition: int | None = None


class GivenUp(KafkaError):  # type: ignore[misc]
    """The producer that had a record was given up."""


Give = Callable[[Any], Awaitable[asyncio.Future[Any]]]


class Sent:
    """What was handed over and is not acknowledged: how it is given to a producer, and the future of its sender."""

    __slots__ = ("give", "is_late", "result", "since", "task", "times_freed", "tries")

    def __init__(self, give: Give) -> None:
        self.give = give
        self.since = time.monotonic()
        self.task: Any = asyncio.current_task()
        self.result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.tries = self.times_freed = 0
        self.is_late = False


class Batch:
    """As many of these records as fit into one batch: `size`. Each call gives them to a producer.

    The future gives the offset of the last of them, below zero where the broker does not tell it.
    """

    def __init__(self, producer: Any, topic: str, partition: int, records: list[Keyed]) -> None:
        self._topic = topic
        self._partition = partition
        self._built, self.size = _filled(producer, records)
        self._records = records[: self.size]

    async def __call__(self, producer: Any) -> asyncio.Future[Any]:
        built, self._built = self._built, None
        left, sent = self._records, []
        while left:
            # Of other times, the same records may need a little more room.
            batch, size = (built, self.size) if built is not None else _filled(producer, left)
            built, left = None, left[size:]
            sent.append(await producer.send_batch(batch, self._topic, partition=self._partition))
        return asyncio.ensure_future(_last_offset(sent, size))


async def _last_offset(sent: list[asyncio.Future[Any]], size: int) -> int:
    """Offset of the last record of the last of these batches, which has so many."""
    first = (await asyncio.gather(*sent))[-1].offset
    return first + size - 1 if first >= 0 else -1


def _filled(producer: Any, records: list[Keyed]) -> tuple[Any, int]:
    """A batch of the first of these records, and how many they are; closed, so that no `send` adds to it."""
    batch = producer.create_batch()
    for key, value, headers in records:
        if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
            break
    batch.close()
    return batch, batch.record_count()


def fail_all_of(accumulator: Any) -> None:
    """Fail everything that aiokafka still has to send."""
    left = [*(batch for batches in accumulator._batches.values() for batch in batches), *accumulator._pending_batches]
    accumulator._pending_batches.update(left)  # where each of them looks for itself
    accumulator.fail_all(GivenUp("its producer was given up"))
    for batch in left:
        batch._drain_waiter.exception()  # or it is reported as an error that nobody looked at


def failed(error: BaseException) -> asyncio.Future[Any]:
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    future.set_exception(error)
    return future
