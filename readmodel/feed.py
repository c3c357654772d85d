"""Reads the read model's source records from given offsets, without a consumer group."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bus.admin import Admin, Partition, TopicLog
from bus.layout import Identity, TopicMadeAnew, check_partitions
from bus.reading.outside import TopicPartition, started_outside
from bus.settings import BusSettings
from schemas.topics import Topic

log = logging.getLogger(__name__)

FETCH_WAIT_MS = 500
"""Milliseconds that the broker gathers records before answering: rows appear that much later, in a few transactions a
second."""

POLL_MS = 500
"""Milliseconds that an empty poll waits."""

HIDDEN_EVERY = 2.0
"""Seconds between checks whether a partition moved although no record came: a compacted one may end in offsets without
a record."""

FETCH_BYTES = 1 << 20
"""Fetch size in bytes per partition, and in total when the broker stops waiting; it bounds prefetching, together with
the number of partitions."""


BATCH_BYTES = 8 << 20
"""Bytes of a partition's records in one poll, except for a single larger record: they may be compressed twentyfold, and
one answer becomes a row for each of a thousand numbers."""


class StartOver(RuntimeError):
    """A topic ends before the last offset read, so it was deleted and recreated. Or it has more partitions."""


@dataclass(frozen=True, slots=True)
class Poll:
    """Records in the order they may be written, and the offsets to read next."""

    records: list[Any]
    moved: Mapping[Partition, int]


class Feed:
    """Reads topics. `positions` are the next offsets, as far as `moved_to` was told; `lost` counts, by partition,
    unread records that retention had deleted by the start.

    `begins_alone` selects records that wait until all earlier records of the other topics are written: a command to
    erase waits until what it erases has been read.
    """

    def __init__(self, settings: BusSettings, topics: Iterable[Topic], begins_alone: Callable[[Any], bool]) -> None:
        self.ids: dict[str, str] = {}
        self.positions: dict[Partition, int] = {}
        self.ends: dict[Partition, int] = {}
        self.lost: dict[Partition, int] = {}
        self._settings = settings
        self._topics = [topic.name for topic in topics]
        self._begins_alone = begins_alone
        self._barriers: dict[TopicPartition, tuple[int, dict[Partition, int]]] = {}
        self._consumer: Any = None
        self._look_at = 0.0

    async def start(self, stored: Mapping[Partition, tuple[str, int]]) -> None:
        """Continue where `stored` says: Kafka's topic id and an offset, by partition.

        Raises TopicMadeAnew for a topic with another id, aiokafka.errors.KafkaError, bus.admin.AdminError.
        """
        found = await asyncio.to_thread(self._look)
        self.ids = {name: topic.id for name, topic in found.items()}
        self.positions = {
            (name, number): _begin((name, number), topic, stored.get((name, number)))
            for name, topic in found.items()
            for number in topic.ends
        }
        self.lost = {
            partition: self.positions[partition] - offset
            for partition, (known, offset) in stored.items()
            if self.ids.get(partition[0]) == known and offset < self.positions.get(partition, 0)
        }
        self.ends = {(name, number): end for name, topic in found.items() for number, end in topic.ends.items()}
        self._consumer = await started_outside(
            self._settings,
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_min_bytes=FETCH_BYTES,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            # If retention has passed a position, the next start counts the lost records.
            auto_offset_reset="none",
        )
        self._consumer.assign([TopicPartition(*partition) for partition in self.positions])
        for partition, offset in self.positions.items():
            self._consumer.seek(TopicPartition(*partition), offset)

    async def stop(self) -> None:
        """Stop reading."""
        if self._consumer is not None:
            await self._consumer.stop()

    @property
    def lag(self) -> int:
        """Number of unread records, as of the last check of the topics' ends."""
        return sum(max(0, end - self.positions[partition]) for partition, end in self.ends.items())

    async def poll(self, most: int) -> Poll:
        """Return the next records, at most this many; possibly none."""
        for partition, (_, ends) in self._barriers.items():
            if self.has_reached(ends) and partition in self._consumer.paused():
                self._consumer.resume(partition)
        fetched = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=most)
        records: list[Any] = []
        for partition, batch in fetched.items():
            records += await self._may_be_read(partition, self._bounded(partition, batch))
        return Poll(records, await self._moved() if fetched or time.monotonic() >= self._look_at else {})

    async def _moved(self) -> dict[Partition, int]:
        self._look_at = time.monotonic() + HIDDEN_EVERY
        found = {(tp.topic, tp.partition): await self._consumer.position(tp) for tp in self._consumer.assignment()}
        return {partition: offset for partition, offset in found.items() if offset != self.positions[partition]}

    def moved_to(self, moved: Mapping[Partition, int]) -> None:
        """Note that everything before these offsets is written."""
        self.positions.update(moved)

    async def look_at_ends(self) -> dict[Partition, int]:
        """Check the topics' end offsets. Raises StartOver, and LayoutError if partitions were added to a topic that is
        keyed by recipient."""
        self._look_at_partitions()
        found = await self._consumer.end_offsets(list(self._consumer.assignment()))
        ends = {(tp.topic, tp.partition): int(offset) for tp, offset in found.items()}
        for partition, end in ends.items():
            if end < self.positions[partition]:
                raise StartOver(f"{partition[0]} ends before the offset already read")
        self.ends = ends
        return ends

    def _look_at_partitions(self) -> None:
        read = Counter(tp.topic for tp in self._consumer.assignment())
        found = {
            topic: max(count, len(self._consumer.partitions_for_topic(topic) or ())) for topic, count in read.items()
        }
        if grown := sorted(topic for topic, count in found.items() if count > read[topic]):
            check_partitions(self._settings.catalogue, {topic: Identity("", found[topic]) for topic in found})
            raise StartOver(f"{grown[0]} has {found[grown[0]]} partitions now")

    def has_reached(self, ends: Mapping[Partition, int]) -> bool:
        """Whether everything before these offsets is written."""
        return all(self.positions[partition] >= end for partition, end in ends.items())

    def _bounded(self, partition: TopicPartition, batch: list[Any]) -> list[Any]:
        """Return as many records as may be read at once; the rest come with the next poll."""
        size = 0
        for index, record in enumerate(batch):
            size += len(record.value or b"")
            if size > BATCH_BYTES and index:
                self._consumer.seek(partition, record.offset)
                return batch[:index]
        return batch

    async def _may_be_read(self, partition: TopicPartition, batch: list[Any]) -> list[Any]:
        for index, record in enumerate(batch):
            if not self._begins_alone(record):
                continue
            if index == 0 and await self._is_due(partition, record.offset):
                continue
            if index == 0:
                self._consumer.pause(partition)
            self._consumer.seek(partition, record.offset)
            return batch[:index]
        return batch

    async def _is_due(self, partition: TopicPartition, offset: int) -> bool:
        known = self._barriers.get(partition)
        if known is None or known[0] != offset:
            # Not those of the same topic: two such records would wait for each other.
            ends = {at: end for at, end in (await self.look_at_ends()).items() if at[0] != partition.topic}
            known = self._barriers[partition] = offset, ends
        return self.has_reached(known[1])

    def _look(self) -> dict[str, TopicLog]:
        with Admin(self._settings) as admin:
            return admin.logs(self._topics)


def _begin(partition: Partition, topic: TopicLog, stored: tuple[str, int] | None) -> int:
    begin, end = topic.begins[partition[1]], topic.ends[partition[1]]
    if stored is None:
        return begin
    known, offset = stored
    if known != topic.id:
        raise TopicMadeAnew(
            f"{partition[0]} was deleted and recreated since the read model read it, and nothing is written: new"
            " records would be taken for those that stood in their places. `trackly read-model rebuild` reads all of"
            " Kafka again; `trackly read-model accept` keeps what is there and reads the new topic beside it."
        )
    if offset < begin:
        log.error("%s[%d]: Kafka has deleted %d records before they were read", *partition, begin - offset)
    return min(max(offset, begin), end)
