"""Durable tables: rows by key, partitioned like the topic they are counted from, logged to a changelog topic.

The shape is that of a Faust table (a store and a compacted changelog a partition); the writing and the recovery
are ours. Faust's recovery swallows errors and accepts holes in the changelog, and it reads one record at a time.

A row carries a version that grows with each write. A worker that was frozen while a write was on its way, and has
lost its partition meanwhile, may still put an old row behind a newer one in the changelog. Recovery keeps the row with
the higher version, and the owner notices that somebody else has written: the offsets of its own writes have a hole, or
the changelog is longer than it should be. It then reads what was written, and says which rows were written over.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, NamedTuple

import aiokafka

from bus.due import DueRows
from bus.ledger import Ledger, TopicPartition
from bus.owners import OwnedRows
from bus.producer import Producer
from bus.stores import Store

log = logging.getLogger(__name__)

_VERSION_BYTES = 8
_RESTORE_BATCH = 5_000
_PURGE_BATCH = 1_000


EndOffsets = Callable[[list[TopicPartition]], Awaitable[Mapping[TopicPartition, int]]]
"""Gives the offset after the last record of each partition."""


class Stale(NamedTuple):
    """A row that a worker without right to it wrote over in the changelog: here is what it must be."""

    table: str
    partition: int
    key: bytes
    value: bytes


class Table:
    """Rows of bytes by key. Reads and writes name the partition of the source record.

    `open_store` gives the store of a partition; `consumer` makes an aiokafka consumer without a group. `due_rows`
    keeps the index of rows that ask to be looked at again, `owned_rows` that of whom rows are about.
    """

    def __init__(
        self,
        name: str,
        changelog: str,
        producer: Producer,
        *,
        open_store: Callable[[str, int], Store],
        consumer: Callable[[], Any],
        due_rows: DueRows | None = None,
        owned_rows: OwnedRows | None = None,
    ) -> None:
        self.name = name
        self.changelog = changelog
        self._producer = producer
        self._open_store = open_store
        self._consumer = consumer
        self._due_rows = due_rows
        self.owned_rows = owned_rows
        self._stores: dict[int, Store] = {}
        self._owned: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._stale: list[Stale] = []
        self.restored = 0
        self.restoring: dict[int, int] = {}

    async def claim(self, ledgers: Iterable[Ledger]) -> list[Stale]:
        """Make sure that the partitions of these ledgers are complete, reading the changelog where they are not.

        Costs nothing when the partition was claimed before in the same generation of the group. Returns rows that
        were written over by others; they are right here and wrong in the changelog.
        """
        return await self._claim({ledger.tp.partition: ledger.generation for ledger in ledgers})

    async def look_again(self, ends: EndOffsets) -> list[Stale]:
        """Claim again the partitions whose changelog is longer than it should be. Returns the same as `claim`."""
        tps = [TopicPartition(self.changelog, partition) for partition in self._owned]
        found = await ends(tps)
        suspects = {tp.partition: self._owned[tp.partition] for tp in tps if found[tp] != self._ends[tp.partition]}
        for partition in suspects:
            del self._owned[partition]
        return await self._claim(suspects)

    async def _claim(self, generations: Mapping[int, int]) -> list[Stale]:
        wanted = {p: generation for p, generation in generations.items() if self._owned.get(p) != generation}
        if wanted:
            await self._restore(sorted(wanted))
            self._owned.update(wanted)
        stale, self._stale = self._stale, []
        return stale

    def keep(self, partitions: Iterable[int]) -> None:
        """Give up the claim of all other partitions: they are another worker's now."""
        kept = set(partitions)
        for partition in self._owned.keys() - kept:
            del self._owned[partition]
        if self._due_rows is not None:
            self._due_rows.keep(kept)

    def due(self, now: int, limit: int) -> list[tuple[int, bytes]]:
        """Partition and key of at most `limit` rows of claimed partitions that are due at `now` (ms)."""
        return self._due_rows.until(now, self._owned, limit) if self._due_rows is not None else []

    def get(self, partition: int, key: bytes) -> tuple[int, bytes | None]:
        """Version and value of a row; (0, None) where there is none."""
        value = self._stores[partition].get(key)
        return unpack(value) if value is not None else (0, None)

    def keys_of(self, partition: int, owner: bytes) -> list[bytes]:
        """Keys of the rows that are about somebody. Only for a table that has `owned_rows`."""
        return [] if self.owned_rows is None else self.owned_rows.keys(self._stores[partition], owner)

    async def write(self, partition: int, rows: Mapping[bytes, tuple[int, bytes | None]]) -> None:
        """Write rows with their versions, or delete them (None): to the changelog, acknowledged, then to the store.

        Raises aiokafka.errors.KafkaError when the changelog does not take them; the worker must then stop,
        since its store and the log no longer agree.
        """
        packed = {key: None if value is None else pack(version, value) for key, (version, value) in rows.items()}
        sent = [
            await self._producer.send(self.changelog, value, key=key, partition=partition)
            for key, value in packed.items()
        ]
        last = max(metadata.offset for metadata in await asyncio.gather(*sent))
        end = self._ends[partition] + len(packed)
        stored = self._marked(partition, packed)
        if last + 1 == end:
            self._ends[partition] = end
            self._stores[partition].write(stored, last)
        else:
            # Somebody else wrote in between. The stored offset stays, so that the next claim reads it.
            self._stores[partition].write(stored, None)
            self._owned.pop(partition, None)

    async def purge(self, keep: Callable[[bytes], bool]) -> int:
        """Delete rows that `keep` turns down from the stores of this machine; the changelog expires by itself."""
        purged = 0
        for partition, store in list(self._stores.items()):
            suspects: list[bytes] = []
            for number, (key, value) in enumerate(store.items(), 1):
                if not keep(unpack(value)[1]):
                    suspects.append(key)
                if number % _PURGE_BATCH == 0:
                    purged += self._delete(partition, store, suspects, keep)
                    suspects.clear()
                    await asyncio.sleep(0)
            purged += self._delete(partition, store, suspects, keep)
        return purged

    def close(self) -> None:
        """Release all stores."""
        for store in self._stores.values():
            store.close()
        self._stores.clear()
        self._owned.clear()
        self._ends.clear()

    async def _restore(self, partitions: list[int]) -> None:
        consumer = self._consumer()
        await consumer.start()
        try:
            tps = {p: aiokafka.TopicPartition(self.changelog, p) for p in partitions}
            consumer.assign(list(tps.values()))
            first = await consumer.beginning_offsets(list(tps.values()))
            end = await consumer.end_offsets(list(tps.values()))
            for partition, tp in tps.items():
                await self._restore_one(consumer, partition, tp, first[tp], end[tp])
        finally:
            self.restoring.clear()
            await consumer.stop()

    async def _restore_one(self, consumer: Any, partition: int, tp: Any, first: int, end: int) -> None:
        store = self._stores.get(partition)
        if store is None:
            store = self._stores[partition] = await asyncio.to_thread(self._open_store, self.name, partition)
        have = store.offset()
        if have is not None and have >= end:
            log.error("table %s[%d] is ahead of its changelog (%d of %d): the changelog was made anew; starting over",
                      self.name, partition, have, end)  # fmt: skip
            store.wipe()
            have = None
        if self.owned_rows is not None:
            self.owned_rows.complete(store, ((key, unpack(row)[1]) for key, row in store.items()))
        start = max(first, 0 if have is None else have + 1)
        others = [other for other in consumer.assignment() if other != tp]
        consumer.pause(*others)
        consumer.resume(tp)
        consumer.seek(tp, start)
        at, told = start, time.monotonic()
        while at < end:
            self.restoring[partition] = end - at
            records = (await consumer.getmany(tp, timeout_ms=1_000, max_records=_RESTORE_BATCH)).get(tp, [])
            if not records:
                at = max(at, await consumer.position(tp))
                continue
            at = records[-1].offset + 1
            for key, value in self._apply(partition, store, records).items():
                self._stale.append(Stale(self.name, partition, key, value))
            self.restored += len(records)
            # Records that are fetched already are given without a turn of the loop, which has other work too.
            await asyncio.sleep(0)
            if time.monotonic() - told > 5:
                told = time.monotonic()
                log.info("restoring table %s[%d]: %d changelog records left", self.name, partition, end - at)
        self.restoring.pop(partition, None)
        self._ends[partition] = end
        if self._due_rows is not None:
            self._due_rows.load(partition, store)

    def _apply(self, partition: int, store: Store, records: list[Any]) -> dict[bytes, bytes]:
        """Store the rows of some changelog records; returns those that were written over, with their right values."""
        rows: dict[bytes, bytes | None] = {}
        written_over: dict[bytes, bytes] = {}
        for record in records:
            if record.value is not None:
                known = rows[record.key] if record.key in rows else store.get(record.key)
                if known is not None and unpack(known)[0] > unpack(record.value)[0]:
                    written_over[record.key] = unpack(known)[1]
                    continue
            written_over.pop(record.key, None)
            rows[record.key] = record.value
        store.write(self._marked(partition, rows), records[-1].offset)
        return written_over

    def _marked(self, partition: int, rows: Mapping[bytes, bytes | None]) -> Mapping[bytes, bytes | None]:
        """Packed rows, and with them what the indexes need."""
        if self._due_rows is None and self.owned_rows is None:
            return rows
        values = {key: None if row is None else unpack(row)[1] for key, row in rows.items()}
        marks = dict(self._due_rows.marks(partition, values)) if self._due_rows is not None else {}
        if self.owned_rows is not None:
            for key, value in values.items():
                marks |= self.owned_rows.marks(key, self._stored(partition, key), value)
        return {**rows, **marks}

    def _stored(self, partition: int, key: bytes) -> bytes | None:
        row = self._stores[partition].get(key)
        return None if row is None else unpack(row)[1]

    def _delete(self, partition: int, store: Store, suspects: list[bytes], keep: Callable[[bytes], bool]) -> int:
        """Delete those of these rows that are not kept. Each is looked at again: the sweep sees rows as they were when
        it began."""
        dead = [key for key in suspects if (row := store.get(key)) is not None and not keep(unpack(row)[1])]
        if dead:
            store.write(self._marked(partition, dict.fromkeys(dead)), None)
        return len(dead)


def pack(version: int, value: bytes) -> bytes:
    """A row as it lies in the store and the changelog."""
    return version.to_bytes(_VERSION_BYTES, "big") + value


def unpack(row: bytes) -> tuple[int, bytes]:
    """Version and value of a stored row."""
    return int.from_bytes(row[:_VERSION_BYTES], "big"), row[_VERSION_BYTES:]
