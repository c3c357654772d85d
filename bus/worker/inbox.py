"""Queues admitted records for the processing loop: bounded, fair between partitions, merged by time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

from bus.clock import now_ms
from bus.ledger import Ledger, TopicPartition
from schemas.cloudevents import header

log = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds for which a partition with records still on the broker may hold back its siblings."""


class Admitted(NamedTuple):
    """A record admitted in order, with the ledger it settles in. `trace` is the traceparent of its processing span."""

    ledger: Ledger
    record: Any
    trace: bytes | None = None

    @property
    def traceparent(self) -> bytes | None:
        """Traceparent for what follows: that of the processing span, or else the record's own, or None."""
        return header(self.record.headers, "traceparent") if self.trace is None else self.trace

    @property
    def received_at(self) -> int | None:
        """When the source callback was received, in ms since 1970 UTC; None if the record does not say."""
        value = header(self.record.headers, "received_at")
        return int(value) if value is not None and value.isdigit() and len(value) <= 15 else None


class Kept(NamedTuple):
    """A record taken from its topic earlier that has waited in a row since."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes


class _Strand:
    """The partitions of one number, of topics with the same keys: they hold all records about their keys.

    Records are taken in the order they were written, never against a partition's own order. A time ahead of our clock
    is replaced by the arrival time, so that a writer's wrong clock holds nothing back.
    """

    def __init__(self) -> None:
        self.queues: dict[TopicPartition, deque[tuple[int, Admitted]]] = {}
        self.behind: set[TopicPartition] = set()
        # Partitions with nothing queued although the broker has more, and since when.
        self.missing: dict[TopicPartition, float] = {}

    def put(self, ledger: Ledger, records: Iterable[Any], now_ms: int) -> None:
        queue = self.queues.setdefault(ledger.tp, deque())
        queue.extend((min(record.timestamp, now_ms), Admitted(ledger, record)) for record in records)
        if queue:
            self.missing.pop(ledger.tp, None)

    def expect(self, tp: TopicPartition, more: bool, now: float) -> None:
        if not more:
            self.behind.discard(tp)
            self.missing.pop(tp, None)
            return
        self.behind.add(tp)
        if not self.queues.get(tp):
            self.missing.setdefault(tp, now)

    def held_for(self, now: float) -> float:
        """Seconds until something may be taken, if nothing arrives before."""
        return max((at + PATIENCE - now for at in self.missing.values()), default=0.0)

    def next_queue(self) -> deque[tuple[int, Admitted]]:
        """Return the queue whose first record was written earliest."""
        if len(self.queues) == 1:
            return next(iter(self.queues.values()))
        return min((queue for queue in self.queues.values() if queue), key=_written_at)

    def take(self, limit: int, now: float) -> list[Admitted]:
        """Return up to this many records whose order is certain."""
        taken: list[Admitted] = []
        left = sum(map(len, self.queues.values()))
        while left > len(taken) < limit and (not self.missing or self.held_for(now) <= 0):
            queue = self.next_queue()
            _, admitted = queue.popleft()
            taken.append(admitted)
            if not queue and admitted.ledger.tp in self.behind:
                self.missing[admitted.ledger.tp] = now
        return taken

    def give_up(self) -> None:
        """Continue without records that do not arrive."""
        for tp, at in self.missing.items():
            if at > float("-inf"):
                log.warning("nothing arrives from %s[%d]: continuing without it", *tp)
                self.missing[tp] = float("-inf")

    def __len__(self) -> int:
        return sum(map(len, self.queues.values()))


def _written_at(queue: deque[tuple[int, Admitted]]) -> int:
    return queue[0][0]


class Inbox:
    """Admitted records of some topics.

    The topics share their keys, so the same partition number of each holds everything about one key; records are merged
    by write time, even in a backlog. Topics in `apart` have different keys and are not merged.

    A partition with a backlog of `max_records` or `max_bytes` is not fetched until it shrinks, so memory is bounded and
    a slow topic never holds up another. When all partitions together reach `max_total_bytes`, none is fetched except
    one that others wait for; partition numbers take turns, so each still gets its share of processing.
    """

    def __init__(
        self,
        topics: Iterable[str],
        *,
        apart: Collection[str] = (),
        max_records: int = 2_000,
        max_bytes: int = 8 << 20,
        max_total_bytes: int = 128 << 20,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.topics = frozenset(topics)
        self._apart = frozenset(apart)
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._max_total_bytes = max_total_bytes
        self._clock = clock
        self._total_bytes = 0
        self._bytes: dict[TopicPartition, int] = {}
        self._strands: dict[tuple[str, int], _Strand] = {}
        # Those with records, in the order of their turns.
        self._turn: dict[_Strand, None] = {}
        self._arrived = asyncio.Event()
        self._woken = False
        self._room = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def put(self, ledger: Ledger, records: Iterable[Any]) -> None:
        """Add admitted records of one partition."""
        tp, records = ledger.tp, list(records)
        strand = self._strand(tp)
        strand.put(ledger, records, now_ms())
        self._turn.setdefault(strand)
        size = sum(_size(record) for record in records)
        self._bytes[tp] = self._bytes.get(tp, 0) + size
        self._total_bytes += size
        self._arrived.set()

    def expect(self, tp: TopicPartition, more: bool) -> None:
        """Note whether the broker has more records of a partition, for which later ones must wait."""
        strand = self._strand(tp)
        held = bool(strand.missing)
        strand.expect(tp, more, self._clock())
        if held and not strand.missing:
            self._arrived.set()

    def _strand(self, tp: TopicPartition) -> _Strand:
        key = (tp.topic if tp.topic in self._apart else "", tp.partition)
        strand = self._strands.get(key)
        if strand is None:
            strand = self._strands[key] = _Strand()
        return strand

    def oldest_ms(self) -> int | None:
        """When the oldest queued record was written, in ms since 1970 UTC; None if there is none."""
        heads = (queue[0][0] for strand in self._turn for queue in strand.queues.values() if queue)
        return min(heads, default=None)

    def wants(self, tp: TopicPartition) -> bool:
        """Whether there is room for more records of this partition."""
        strand = self._strand(tp)
        if self._total_bytes >= self._max_total_bytes:
            return tp in strand.missing
        return len(strand.queues.get(tp, ())) < self._max_records and self._bytes.get(tp, 0) < self._max_bytes

    async def take(self, limit: int, timeout: float | None = None) -> list[Admitted]:
        """Return up to `limit` records; partition numbers take turns. The inbox is busy until `done` is called.

        Waits for a first record; returns none after `timeout` seconds, or when woken.
        """
        await self._arrival(timeout)
        return self.take_arrived(limit)

    def take_arrived(self, limit: int) -> list[Admitted]:
        """Return the same as `take` without waiting."""
        self._idle.clear()
        now = self._clock()
        ready = deque(strand for strand in self._turn if strand.held_for(now) <= 0)
        share = max(1, limit // max(1, len(ready)))
        taken: list[Admitted] = []
        while ready and len(taken) < limit:
            strand = ready.popleft()
            if strand.missing:
                strand.give_up()
            taken += strand.take(min(share, limit - len(taken)), now)
            del self._turn[strand]
            if len(strand):
                self._turn[strand] = None
                if strand.held_for(now) <= 0:
                    ready.append(strand)
        for admitted in taken:
            size = _size(admitted.record)
            self._bytes[admitted.ledger.tp] -= size
            self._total_bytes -= size
        self._room.set()
        return taken

    async def _arrival(self, timeout: float | None) -> None:
        # Cheaper than wait_for, which creates a task. Do not rely on the loop's clock: uvloop's counts milliseconds,
        # and a timer may fire slightly early.
        loop, held = asyncio.get_running_loop(), self._held_for()
        alarm = loop.call_later(timeout, self.wake) if timeout is not None and held > 0 else None
        while held > 0 and not self._woken:
            self._arrived.clear()
            again = loop.call_later(max(held, 0.001), self._arrived.set) if self._turn else None
            await self._arrived.wait()
            if again is not None:
                again.cancel()
            held = self._held_for()
        self._woken = False
        if alarm is not None:
            alarm.cancel()

    def _held_for(self) -> float:
        """Return the seconds until a record may be taken; infinity if none has arrived."""
        now = self._clock()
        return min((strand.held_for(now) for strand in self._turn), default=float("inf"))

    def wake(self) -> None:
        """Wake whoever waits for a record, because partitions were assigned or it has waited long enough."""
        self._woken = True
        self._arrived.set()

    def done(self) -> None:
        """Mark the records taken last as handled."""
        self._idle.set()

    async def wait_for_room(self, timeout: float) -> None:
        """Return once records were taken, or after `timeout` seconds."""
        self._room.clear()
        try:
            await asyncio.wait_for(self._room.wait(), timeout)
        except TimeoutError:
            pass

    async def wait_idle(self, timeout: float) -> bool:
        """Wait until nothing is being processed; False if that takes longer than `timeout` seconds."""
        try:
            await asyncio.wait_for(self._idle.wait(), timeout)
        except TimeoutError:
            return False
        return True

    def clear(self) -> None:
        """Drop queued records: the partitions were revoked, and their owner reads them again."""
        self._strands.clear()
        self._bytes.clear()
        self._total_bytes = 0
        self._turn.clear()

    def __len__(self) -> int:
        return sum(map(len, self._turn))


def _size(record: Any) -> int:
    return len(record.value or b"")
