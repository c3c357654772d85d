"""Durable tables: rows by key, partitioned like the topic they are counted from, logged to a changelog topic.

The shape is that of a Faust table (a store and a compacted changelog a partition); the writing and the recovery
are ours. Faust's recovery swallows errors and accepts holes in the changelog, and it reads one record at a time.

A row carries a version that grows with each write. A worker that lost its partition while a write was on its way
may still put an old row behind a newer one in the changelog; recovery keeps the row with the higher version.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import aiokafka

from bus.ledger import Ledger
from bus.producer import Producer
from bus.stores import Store

log = logging.getLogger(__name__)

_VERSION_BYTES = 8
_RESTORE_BATCH = 5_000


class TableError(RuntimeError):
    """A table cannot be brought back; the worker must stop."""


class Table:
    """Rows of bytes by key. Reads and writes name the partition of the source record.

    `open_store` gives the store of a partition; `consumer` makes an aiokafka consumer without a group.
    """

    def __init__(
        self,
        name: str,
        changelog: str,
        producer: Producer,
        *,
        open_store: Callable[[str, int], Store],
        consumer: Callable[[], Any],
    ) -> None:
        self.name = name
        self.changelog = changelog
        self._producer = producer
        self._open_store = open_store
        self._consumer = consumer
        self._stores: dict[int, Store] = {}
        self._owned: dict[int, int] = {}
        self.restored = 0
        self.restoring: dict[int, int] = {}

    async def claim(self, ledgers: Iterable[Ledger]) -> None:
        """Make sure that the partitions of these ledgers are complete, reading the changelog where they are not.

        Costs nothing when the partition was claimed before in the same generation of the group.
        """
        wanted = {
            ledger.tp.partition: ledger.generation
            for ledger in ledgers
            if self._owned.get(ledger.tp.partition) != ledger.generation
        }
        if wanted:
            await self._restore(sorted(wanted))
            self._owned.update(wanted)

    def get(self, partition: int, key: bytes) -> tuple[int, bytes | None]:
        """Version and value of a row; (0, None) where there is none."""
        value = self._stores[partition].get(key)
        return unpack(value) if value is not None else (0, None)

    async def write(self, partition: int, rows: Mapping[bytes, tuple[int, bytes]]) -> None:
        """Write rows with their versions: to the changelog, acknowledged, then to the store.

        Raises aiokafka.errors.KafkaError when the changelog does not take them; the worker must then stop,
        since its store and the log no longer agree.
        """
        packed = {key: pack(version, value) for key, (version, value) in rows.items()}
        sent = [
            await self._producer.send(self.changelog, value, key=key, partition=partition)
            for key, value in packed.items()
        ]
        offsets = [metadata.offset for metadata in await asyncio.gather(*sent)]
        self._stores[partition].write(packed, max(offsets))

    async def purge(self, keep: Callable[[bytes], bool]) -> int:
        """Delete rows that `keep` turns down from the stores of this machine; the changelog expires by itself."""
        purged = 0
        for store in list(self._stores.values()):
            dead: dict[bytes, bytes | None] = {}
            for number, (key, value) in enumerate(store.items()):
                if not keep(unpack(value)[1]):
                    dead[key] = None
                if number % 1_000 == 999:
                    await asyncio.sleep(0)
            offset = store.offset()
            if dead and offset is not None:
                store.write(dead, offset)
                purged += len(dead)
        return purged

    def close(self) -> None:
        """Release all stores."""
        for store in self._stores.values():
            store.close()
        self._stores.clear()
        self._owned.clear()

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
            _apply(store, records)
            self.restored += len(records)
            if time.monotonic() - told > 5:
                told = time.monotonic()
                log.info("restoring table %s[%d]: %d changelog records left", self.name, partition, end - at)
        self.restoring.pop(partition, None)


def _apply(store: Store, records: list[Any]) -> None:
    rows: dict[bytes, bytes | None] = {}
    for record in records:
        if record.value is not None:
            known = rows[record.key] if record.key in rows else store.get(record.key)
            if known is not None and unpack(known)[0] > unpack(record.value)[0]:
                continue
        rows[record.key] = record.value
    store.write(rows, records[-1].offset)


def pack(version: int, value: bytes) -> bytes:
    """A row as it lies in the store and the changelog."""
    return version.to_bytes(_VERSION_BYTES, "big") + value


def unpack(row: bytes) -> tuple[int, bytes]:
    """Version and value of a stored row."""
    return int.from_bytes(row[:_VERSION_BYTES], "big"), row[_VERSION_BYTES:]
