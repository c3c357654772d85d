"""Reads one topic from a starting point, without a consumer group, so that nothing else is affected."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from bus.admin import Admin
from bus.producer import partition_of
from bus.reading.outside import TopicPartition, outside_consumer
from bus.settings import BusSettings

STALLED = 20.0
"""Seconds without a record after which a topic that has more counts as unreadable."""


class Stalled(RuntimeError):
    """Kafka returns no records, although there are more."""

    def __init__(self) -> None:
        super().__init__(f"Kafka returned no records for {STALLED:g} s although more exist. Try again.")


@dataclass(frozen=True, slots=True)
class Start:
    """Where to begin in each partition: an offset, or the first record not older than a time (milliseconds).

    `offsets` are by partition; all others begin at the beginning or at the end.
    """

    offset: int | None = None
    offsets: Mapping[int, int] | None = None
    millis: int | None = None
    at_end: bool = False


BEGINNING = Start()
END = Start(at_end=True)


class Topic:
    """One topic, read from a starting point. Use `open_topic`."""

    def __init__(
        self, consumer: Any, starts: dict[Any, int], ends: dict[Any, int], bounded: bool, topic_id: str = ""
    ) -> None:
        self.id = topic_id
        """Kafka's own: a topic that is deleted and made again has another one."""
        self._consumer = consumer
        self._ends = ends
        self._bounded = bounded
        self.size = sum(max(0, ends[partition] - start) for partition, start in starts.items())
        """Offsets between start and end when the topic was opened; compacted topics have fewer records."""

    async def poll(self, seconds: float, most: int | None = None) -> list[Any]:
        """Return new records, oldest first in each partition; waits up to this long for a first one. Returns nothing
        beyond a given end.
        """
        batches = await self._consumer.getmany(timeout_ms=int(seconds * 1000), max_records=most)
        if self._bounded:
            for partition, records in batches.items():
                if records[-1].offset >= self._ends[partition]:
                    batches[partition] = [record for record in records if record.offset < self._ends[partition]]
                    self._consumer.pause(partition)
        return [record for records in batches.values() for record in records]

    async def positions(self) -> dict[int, int]:
        """Next offset to read, by partition."""
        found = {partition: await self._consumer.position(partition) for partition in self._ends}
        return {p.partition: min(at, self._ends[p]) if self._bounded else at for p, at in found.items()}

    async def is_behind(self) -> bool:
        """Whether records that existed when the topic was opened are still unread."""
        for partition, end in self._ends.items():
            if await self._consumer.position(partition) < end:
                return True
        return False

    async def rest(self) -> AsyncIterator[Any]:
        """Yield every record that existed when the topic was opened. Raises Stalled if Kafka returns no more."""
        moved = time.monotonic()
        while await self.is_behind():
            records = await self.poll(0.2)
            for record in records:
                yield record
            if records:
                moved = time.monotonic()
            elif time.monotonic() - moved > STALLED:
                raise Stalled

    async def value_at(self, partition: int, offset: int) -> bytes | None:
        """Return the value of one record, or None if it is gone. Later reads continue after it. Raises Stalled."""
        found = next((tp for tp in self._ends if tp.partition == partition), None)
        if found is None or offset >= self._ends[found]:
            return None
        self._consumer.pause(*(tp for tp in self._ends if tp != found))
        self._consumer.resume(found)
        self._consumer.seek(found, offset)
        moved = time.monotonic()
        while time.monotonic() - moved < STALLED:
            records = (await self._consumer.getmany(found, timeout_ms=200, max_records=1)).get(found, [])
            if records:
                value: bytes | None = records[0].value
                return value if records[0].offset == offset else None
        raise Stalled


@asynccontextmanager
async def open_topic(
    settings: BusSettings,
    chosen: Callable[[Iterable[str]], str],
    start: Start,
    key: bytes | None = None,
    *,
    end: Start | None = None,
    positions: Mapping[int, int] | None = None,
) -> AsyncIterator[Topic]:
    """Open the topic that `chosen` selects from the existing ones; with a key, only the partition that holds it.
    Nothing beyond `end` is returned. `positions`, by partition, take precedence over the start. Raises
    BrokerUnavailable, and what `chosen` raises.
    """
    with Admin(settings) as admin:
        topic = chosen(admin.list_topics())
        begins, ends = admin.begin_offsets(topic), admin.end_offsets(topic)
        topic_id = admin.identities([topic])[topic].id
    partitions = sorted(ends) if key is None else [partition_of(key, len(ends))]
    async with outside_consumer(settings) as consumer:
        assigned = {p: TopicPartition(topic, p) for p in partitions}
        consumer.assign(list(assigned.values()))
        if end is not None:
            ends = await _offsets(consumer, assigned, end, begins, ends)
        offsets = await _offsets(consumer, assigned, start, begins, ends)
        for partition, offset in (positions or {}).items():
            if partition in offsets:
                offsets[partition] = max(offset, begins[partition])
        for partition, offset in offsets.items():
            consumer.seek(assigned[partition], offset)
        yield Topic(
            consumer,
            {assigned[p]: offset for p, offset in offsets.items()},
            {assigned[p]: ends[p] for p in partitions},
            bounded=end is not None,
            topic_id=topic_id,
        )


async def _offsets(
    consumer: Any, assigned: dict[int, Any], start: Start, begins: dict[int, int], ends: dict[int, int]
) -> dict[int, int]:
    if start.millis is not None:
        found = await consumer.offsets_for_times(dict.fromkeys(assigned.values(), start.millis))
        return {p: ends[p] if found[tp] is None else found[tp].offset for p, tp in assigned.items()}
    if start.offsets is not None:
        others = ends if start.at_end else begins
        return {p: min(max(start.offsets.get(p, others[p]), begins[p]), ends[p]) for p in assigned}
    if start.offset is not None:
        return {p: min(max(start.offset, begins[p]), ends[p]) for p in assigned}
    return {p: (ends if start.at_end else begins)[p] for p in assigned}
