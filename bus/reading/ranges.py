"""Reads topic records between two times, without a consumer group."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from heapq import merge
from typing import Any

import aiokafka

from bus.admin import Admin, Partition
from bus.reading.outside import outside_consumer
from bus.settings import BusSettings

WAIT_MS = 500
"""Milliseconds that a batch waits for its first record."""

READ = 500
"""Records read at once."""

FAR_AHEAD_MS = 1 << 62
"""A time in the far future: a range up to it covers everything that exists when it is opened."""


class Range:
    """Records between two offsets of each partition. `positions` and `ends` are offsets by `topic/partition`.

    `positions` follow the records that have been passed: those given to `passed`, and every batch but the last.
    """

    def __init__(self, consumer: Any, positions: Mapping[str, int], ends: Mapping[str, int]) -> None:
        self.positions = dict(positions)
        self.ends = dict(ends)
        self._consumer = consumer

    @property
    def left(self) -> int:
        """Number of records not passed yet; retention may have deleted some."""
        return sum(max(0, end - self.positions[place]) for place, end in self.ends.items())

    async def batch(self, limit: int) -> list[Any] | None:
        """Return the next records (possibly none), sorted by time as far as they arrived together; None at the end.

        Keeps the order within each partition.
        """
        for tp in self._consumer.assignment():
            place = place_of(tp.topic, tp.partition)
            # Where retention has deleted the next records, the position moves without a record.
            self.positions[place] = max(self.positions[place], await self._consumer.position(tp))
            if self.positions[place] >= self.ends[place]:
                self._consumer.pause(tp)
        if not self.left:
            return None
        fetched = await self._consumer.getmany(timeout_ms=WAIT_MS, max_records=limit)
        parts = ([r for r in records if r.offset < self.ends[place_of(*tp)]] for tp, records in fetched.items())
        return list(merge(*parts, key=lambda record: record.timestamp))

    def passed(self, record: Any) -> None:
        """Mark this record, and all before it in its partition, as handled."""
        self.positions[place_of(record.topic, record.partition)] = record.offset + 1


def place_of(topic: str, partition: int) -> str:
    """Return the name of a partition: `topic/partition`."""
    return f"{topic}/{partition}"


async def offsets_between(
    settings: BusSettings, topics: Iterable[str], from_ms: int, to_ms: int
) -> tuple[dict[str, int], dict[str, int]]:
    """Return the offsets of the first records written from `from_ms` on, and from `to_ms` on, by partition name.

    Topics are given by short name; missing ones are left out. Raises aiokafka.errors.KafkaError,
    bus.admin.BrokerUnavailable.
    """
    partitions = await asyncio.to_thread(_partitions, settings, topics)
    if not partitions:
        return {}, {}
    tps = [aiokafka.TopicPartition(*partition) for partition in partitions]
    async with outside_consumer(settings) as consumer:
        ends = await consumer.end_offsets(tps)
        found = []
        for at in (from_ms, to_ms):
            offsets = await consumer.offsets_for_times(dict.fromkeys(tps, at))
            found.append({place_of(*tp): ends[tp] if (o := offsets[tp]) is None else o.offset for tp in tps})
        return found[0], found[1]


def _partitions(settings: BusSettings, topics: Iterable[str]) -> list[Partition]:
    # A consumer only knows the partitions of topics that it reads.
    with Admin(settings) as admin:
        found = admin.describe(settings.catalogue[topic].name for topic in topics)
    return [(topic.name, number) for topic in found.values() for number in range(topic.partitions)]


@dataclass(frozen=True, slots=True)
class Bounds:
    """A partition's first offset still in the log, the offset after the last one, and the first one written since a
    time."""

    begin: int
    end: int
    since: int


@asynccontextmanager
async def open_to_end(
    settings: BusSettings,
    partitions: Iterable[Partition],
    since: int | None,
    begins_at: Callable[[Partition, Bounds], int],
) -> AsyncIterator[Range]:
    """Read partitions for the duration of the block, each from where `begins_at` says to where it ends now. Bounds are
    for records written since a time (ms), or else for all. Raises aiokafka.errors.KafkaError.
    """
    tps = [aiokafka.TopicPartition(*partition) for partition in partitions]
    async with outside_consumer(settings, {tp.topic for tp in tps}) as consumer:
        begins, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
        written = {} if since is None else await consumer.offsets_for_times(dict.fromkeys(tps, since))
        positions = {}
        for tp in tps:
            found = written.get(tp)
            first = begins[tp] if since is None else ends[tp] if found is None else found.offset
            at = begins_at((tp.topic, tp.partition), Bounds(begins[tp], ends[tp], first))
            positions[place_of(*tp)] = min(max(at, begins[tp]), ends[tp])
        yield range_of(consumer, positions, {place_of(*tp): ends[tp] for tp in tps})


@asynccontextmanager
async def open_range(
    settings: BusSettings, positions: Mapping[str, int], ends: Mapping[str, int]
) -> AsyncIterator[Range]:
    """Read from `positions` to `ends` for the duration of the block. Raises aiokafka.errors.KafkaError."""
    async with outside_consumer(settings) as consumer:
        yield range_of(consumer, positions, ends)


def range_of(consumer: Any, positions: Mapping[str, int], ends: Mapping[str, int]) -> Range:
    """Return the range from `positions` to `ends` of a consumer."""
    starts = {}
    for place, end in ends.items():
        topic, _, number = place.rpartition("/")
        if positions[place] < end:
            starts[aiokafka.TopicPartition(topic, int(number))] = positions[place]
    consumer.assign(list(starts))
    for tp, position in starts.items():
        consumer.seek(tp, position)
    return Range(consumer, positions, ends)
