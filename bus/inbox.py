"""Where admitted records wait for the loop that processes them: bounded, fair between partitions."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple

from bus.ledger import Ledger, TopicPartition
from schemas.cloudevents import header


class Admitted(NamedTuple):
    """A record that was admitted in order, and the ledger it settles in."""

    ledger: Ledger
    record: Any

    @property
    def traceparent(self) -> bytes | None:
        """W3C trace context that the record carries, or None."""
        return header(self.record.headers, "traceparent")


class Kept(NamedTuple):
    """A record that was taken from its topic earlier and has waited in a row since."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes


class Inbox:
    """Admitted records of some topics.

    A partition whose backlog here reaches `max_records` or `max_bytes` is not fetched until it shrinks, so
    memory is bounded and a slow topic never keeps another one waiting.
    """

    def __init__(self, topics: Iterable[str], *, max_records: int = 2_000, max_bytes: int = 8 << 20) -> None:
        self.topics = frozenset(topics)
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._queues: dict[TopicPartition, deque[Admitted]] = {}
        self._bytes: dict[TopicPartition, int] = {}
        self._turn: deque[TopicPartition] = deque()
        self._arrived = asyncio.Event()
        self._woken = False
        self._room = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def put(self, ledger: Ledger, records: Iterable[Any]) -> None:
        """Add admitted records of one partition."""
        tp = ledger.tp
        queue = self._queues.setdefault(tp, deque())
        if not queue:
            self._turn.append(tp)
        size = 0
        for record in records:
            queue.append(Admitted(ledger, record))
            size += len(record.value or b"")
        self._bytes[tp] = self._bytes.get(tp, 0) + size
        self._arrived.set()

    def wants(self, tp: TopicPartition) -> bool:
        """Whether there is room for more of this partition."""
        queue = self._queues.get(tp)
        return queue is None or (len(queue) < self._max_records and self._bytes[tp] < self._max_bytes)

    async def take(self, limit: int, timeout: float | None = None) -> list[Admitted]:
        """Up to `limit` records; partitions take turns. The inbox is busy until `done` is called.

        Waits for a first record; after `timeout` seconds, or when it is woken, it gives none. Of several topics, what
        was written earlier comes first: an unsubscribe follows the failure that caused it.
        """
        await self._arrival(timeout)
        self._idle.clear()
        if not self._turn:
            return []
        share = max(1, limit // len(self._turn))
        taken: list[Admitted] = []
        while self._turn and len(taken) < limit:
            tp = self._turn.popleft()
            queue = self._queues[tp]
            for _ in range(min(share, len(queue), limit - len(taken))):
                admitted = queue.popleft()
                self._bytes[tp] -= len(admitted.record.value or b"")
                taken.append(admitted)
            if queue:
                self._turn.append(tp)
        self._room.set()
        return _oldest_first(taken) if len(self.topics) > 1 else taken

    async def _arrival(self, timeout: float | None) -> None:
        # Cheaper than wait_for, which makes a task. That the time is over is not read off the clock: uvloop's counts
        # milliseconds, and a timer may fire a moment before the time that it was set to.
        wait = timeout is not None and not self._turn
        alarm = asyncio.get_running_loop().call_later(timeout or 0.0, self.wake) if wait else None
        while not self._turn and not self._woken:
            self._arrived.clear()
            await self._arrived.wait()
        self._woken = False
        if alarm is not None:
            alarm.cancel()

    def wake(self) -> None:
        """Let whoever waits for a record look around: partitions were assigned, or the time is over."""
        self._woken = True
        self._arrived.set()

    def done(self) -> None:
        """The records that were taken last have been dealt with."""
        self._idle.set()

    async def wait_for_room(self, timeout: float) -> None:
        """Return when records were taken, or after `timeout` seconds."""
        self._room.clear()
        try:
            await asyncio.wait_for(self._room.wait(), timeout)
        except TimeoutError:
            pass

    async def wait_idle(self, timeout: float) -> bool:
        """Wait until nothing is being processed; False when that takes longer than `timeout` seconds."""
        try:
            await asyncio.wait_for(self._idle.wait(), timeout)
        except TimeoutError:
            return False
        return True

    def clear(self) -> None:
        """Forget what has not been taken: the partitions were revoked and will be read again by their owner."""
        self._queues.clear()
        self._bytes.clear()
        self._turn.clear()

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._queues.values())


def _oldest_first(taken: list[Admitted]) -> list[Admitted]:
    # Sorted by the time of writing, but never against the order of a partition, whose writers' clocks may differ.
    latest: dict[TopicPartition, int] = {}
    times = []
    for admitted in taken:
        tp = admitted.ledger.tp
        latest[tp] = max(latest.get(tp, 0), admitted.record.timestamp)
        times.append(latest[tp])
    return [taken[index] for index in sorted(range(len(taken)), key=times.__getitem__)]
