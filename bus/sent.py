"""Records queued at the producer: how they are given to an aiokafka producer, and abandoned with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from aiokafka.errors import KafkaError


class Keyed(NamedTuple):
    """A record for a known partition: key, value (None: a tombstone), headers."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]] | None = None


class Addressed(NamedTuple):
    """A record for a topic; without a partition, its key decides."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    headers: list[tuple[str, bytes]] | None = None
    partition: int | None = None


class GivenUp(KafkaError):  # type: ignore[misc]
    """The producer that had the record was abandoned."""


Give = Callable[[Any], Awaitable[asyncio.Future[Any]]]


class Sent:
    """An unacknowledged record: how to give it to a producer, and the sender's future."""

    __slots__ = ("generation", "give", "is_late", "result", "since", "task", "times_freed", "tries")

    def __init__(self, give: Give, generation: int | None = None) -> None:
        self.give = give
        self.generation = generation
        """The group generation outside of which it must not be sent."""
        self.since = time.monotonic()
        self.task: Any = asyncio.current_task()
        self.result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.tries = self.times_freed = 0
        self.is_late = False


class Batch:
    """As many of these records as fit into one batch (`size`). Each call gives them to a producer.

    The future returns the last offset, or a negative number if the broker does not report it.
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
            # At different times, the same records may need slightly more room.
            batch, size = (built, self.size) if built is not None else _filled(producer, left)
            built, left = None, left[size:]
            sent.append(await producer.send_batch(batch, self._topic, partition=self._partition))
        return asyncio.ensure_future(_last_offset(sent, size))


async def _last_offset(sent: list[asyncio.Future[Any]], size: int) -> int:
    """Return the last offset of a series of batches, given the size of the last one."""
    first = (await asyncio.gather(*sent))[-1].offset
    return first + size - 1 if first >= 0 else -1


def _filled(producer: Any, records: list[Keyed]) -> tuple[Any, int]:
    """Build a batch from the first of these records, and return it with their number; closed, so that `send` cannot add
    to it."""
    batch = producer.create_batch()
    for key, value, headers in records:
        if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
            break
    batch.close()
    return batch, batch.record_count()


def fail_all_of(accumulator: Any) -> None:
    """Fail every record that aiokafka has yet to send."""
    left = [*(batch for batches in accumulator._batches.values() for batch in batches), *accumulator._pending_batches]
    accumulator._pending_batches.update(left)  # where each batch looks for itself
    accumulator.fail_all(GivenUp("its producer was abandoned"))
    for batch in left:
        batch._drain_waiter.exception()  # otherwise asyncio reports it as never retrieved


def failed(error: BaseException) -> asyncio.Future[Any]:
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    future.set_exception(error)
    return future
