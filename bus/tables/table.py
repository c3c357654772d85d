"""Durable tables: rows by key, partitioned like their source topic, logged to a changelog topic.

The shape is that of a Faust table (one store and compacted changelog per partition), but writing and recovery are ours:
Faust's recovery swallows errors, accepts gaps in the changelog, and reads one record at a time.

Each row has a version that grows with every write. A worker that was frozen during a write, and has lost its partition
since, may still append an old row after a newer one. Recovery keeps the higher version, and the owner notices the
foreign write: its own offsets have a gap, or the changelog is longer than expected. It then reads what was written and
reports the overwritten rows.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import aiokafka

from bus.clients import started
from bus.insisting import bounds_of, insist
from bus.layout import Identity, LayoutError, check_stored
from bus.ledger import Ledger, TopicPartition
from bus.producer import Keyed, Producer
from bus.tables.count_index import CountedRows
from bus.tables.due_index import DueRows
from bus.tables.in_flight import InFlight
from bus.tables.owner_index import OwnedRows
from bus.tables.store import OWN_KEYS, Store, StoreFailed
from bus.tables.versions import Row, forget_gone, gone, known_version, pack, unpack, version_header, version_in
from schemas.topics import DEFAULT_MAX_MESSAGE_BYTES

log = logging.getLogger(__name__)

_CHANGELOG = OWN_KEYS + b"changelog"
"""Where a store records the identity of its changelog."""

_RESTORE_BATCH = 5_000
_PURGE_BATCH = 1_000


class ChangelogMadeAnew(LayoutError):
    """A store has rows of an earlier changelog, which may exist nowhere else."""

    def __init__(self, table: str, changelog: str, partition: int, directory: Path | None) -> None:
        where = "its stores" if directory is None else str(directory)
        super().__init__(
            f"{changelog}, the changelog of table {table}, was deleted and recreated, or ends before the offset "
            f"already read (partition {partition}). It may lack removed contacts, so nothing is processed. Stop all "
            "streams processes, run `trackly tables rebuild-from-contacts`, which restores suppressions from "
            f"`sms.contacts`, then delete {where} on each of them and start them again. If the changelog is "
            "complete, deleting is enough: the table is restored from it."
        )


class Stale(NamedTuple):
    """A changelog row overwritten by a worker that had lost the partition, with its correct value (None: no row)."""

    table: str
    partition: int
    key: bytes
    value: bytes | None


class Indexes(NamedTuple):
    """Optional indexes of a table's rows: by due time, by owner, and by label."""

    due: DueRows | None = None
    owned: OwnedRows | None = None
    counted: CountedRows | None = None


NO_INDEXES = Indexes()


class Table:
    """Rows of bytes by key. Reads and writes name the partition of the source record.

    Reads see the rows `in_flight`, which finished batches have yet to write, and otherwise those in the store.

    `open_store` opens a partition's store; `consumer` creates an aiokafka consumer without a group. `identity`
    identifies the changelog topic, and `directory` is where people find the stores. `max_bytes`: limit of a changelog
    record, key included.
    """

    def __init__(
        self,
        name: str,
        changelog: str,
        producer: Producer,
        *,
        open_store: Callable[[str, int], Store],
        consumer: Callable[[], Any],
        identity: Callable[[], Identity | None] = lambda: None,
        directory: Path | None = None,
        indexes: Indexes = NO_INDEXES,
        max_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
    ) -> None:
        self.name = name
        self.changelog = changelog
        self.max_bytes = max_bytes
        self._producer = producer
        self._open_store = open_store
        self._consumer = consumer
        self._identity = identity
        self._directory = directory
        self._due_rows, self.owned_rows, self.counted_rows = indexes
        self._stores: dict[int, Store] = {}
        self._owned: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._noted: set[int] = set()
        self._stale: list[Stale] = []
        self.in_flight = InFlight()
        self.restored = 0
        self.restoring: dict[int, int] = {}

    async def claim(self, ledgers: Iterable[Ledger]) -> list[Stale]:
        """Make sure that these ledgers' partitions are complete, restoring them from the changelog if needed.

        Free if the partition was claimed before in the same group generation. Returns rows overwritten by others; they
        are right here and wrong in the changelog.
        """
        return await self._claim({ledger.tp.partition: ledger.generation for ledger in ledgers})

    def lacks(self, ledgers: Iterable[Ledger]) -> bool:
        """Whether `claim` has something to do."""
        return any(self._owned.get(ledger.tp.partition) != ledger.generation for ledger in ledgers)

    def ends(self) -> dict[TopicPartition, int]:
        """Return where the changelog of each claimed partition ends as far as this worker knows, which has written it
        alone."""
        return {TopicPartition(self.changelog, partition): self._ends[partition] for partition in self._owned}

    async def look_again(
        self, before: Mapping[TopicPartition, int], found: Mapping[TopicPartition, int]
    ) -> list[Stale]:
        """Claim again the partitions that somebody else has written. Returns the same as `claim`.

        `found`: where Kafka says that the changelogs end. `before`: what `ends` returned just before Kafka was asked;
        this worker may have written since.
        """
        suspects = {
            tp.partition: self._owned[tp.partition]
            for tp, end in self.ends().items()
            if tp in before and not before[tp] <= found[tp] <= end
        }
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
        """Give up all other partitions: they belong to another worker now."""
        kept = set(partitions)
        for partition in self._owned.keys() - kept:
            del self._owned[partition]
        if self._due_rows is not None:
            self._due_rows.keep(kept)

    def is_claimed(self, partition: int) -> bool:
        """Whether this worker may write a partition."""
        return partition in self._owned

    def due(self, now: int, limit: int) -> list[tuple[int, bytes]]:
        """Return partition and key of at most `limit` rows in claimed partitions that are due at `now` (ms)."""
        return self._due_rows.until(now, self._owned, limit) if self._due_rows is not None else []

    def get(self, partition: int, key: bytes) -> Row:
        """Return version and value of a row; (0, None) if there is none."""
        if (row := self.in_flight.get(partition, key)) is not None:
            return row
        try:
            value = self._stores[partition].get(key)
        except Exception as error:
            raise StoreFailed(f"table {self.name}[{partition}] cannot be read: {error}") from error
        return unpack(value) if value is not None else (0, None)

    def version(self, partition: int, key: bytes) -> int:
        """Return the version of a row or of its deletion; 0 if the key is unknown."""
        if (row := self.in_flight.get(partition, key)) is not None:
            return row[0]
        try:
            return known_version(self._stores[partition], key)
        except Exception as error:
            raise StoreFailed(f"table {self.name}[{partition}] cannot be read: {error}") from error

    def keys_of(self, partition: int, owner: bytes, limit: int | None = None) -> list[bytes]:
        """Return keys of at most `limit` rows that concern an owner. Requires `owned_rows`."""
        index = self.owned_rows
        if index is None:
            return []
        try:
            keys = index.keys(self._stores[partition], owner, limit)
        except Exception as error:
            raise StoreFailed(f"table {self.name}[{partition}] cannot be read: {error}") from error
        changed = self.in_flight.of(partition)
        return sorted(index.after(keys, changed, owner)) if changed else keys

    def count(self, partition: int, label: bytes) -> int:
        """Return how many rows have a label. Requires `counted_rows`."""
        if self.counted_rows is None:
            return 0
        try:
            stored = self.counted_rows.count(self._stores[partition], label)
        except Exception as error:
            raise StoreFailed(f"table {self.name}[{partition}] cannot be read: {error}") from error
        return stored + self.in_flight.change(partition, label)

    def counts(self, prefix: bytes) -> int:
        """Return the counts of labels with this prefix over claimed partitions."""
        counted = self.counted_rows
        stores = [self._stores[partition] for partition in list(self._owned)] if counted is not None else []
        return (
            sum(count for store in stores for _, count in counted.counts(store, prefix)) if counted is not None else 0
        )

    def forget_counts(self, prefix: bytes, is_old: Callable[[bytes], bool]) -> None:
        """Reset the counts of old labels with this prefix."""
        for store in list(self._stores.values()) if self.counted_rows is not None else ():
            assert self.counted_rows is not None
            old = [label for label, _ in self.counted_rows.counts(store, prefix) if is_old(label)]
            self.counted_rows.forget(store, old)

    async def write(self, partition: int, rows: Mapping[bytes, Row], generation: int | None = None) -> None:
        """Write rows with their versions, or delete them (None): first to the changelog, acknowledged, then to the
        store. With a group generation, only while this worker certainly owns the partition.

        Raises PartitionsLost if it does not; then rows may be missing in both, and the new owner writes them. Raises
        aiokafka.errors.KafkaError if the changelog rejects them; the worker must then stop, because its store
        and the log differ.
        """
        packed = {key: None if value is None else pack(version, value) for key, (version, value) in rows.items()}
        last = await self._producer.send_batch(
            self.changelog,
            partition,
            (
                Keyed(key, value, [version_header(rows[key][0])] if value is None else None)
                for key, value in packed.items()
            ),
            generation,
        )
        if partition not in self._stores:
            return  # the worker has ended and closed the table; the changelog restores the rows
        end = self._ends[partition] + len(packed)
        stored = dict(self._marked(partition, packed))
        for key, value in packed.items():
            if value is None:
                stored |= gone(key, rows[key][0])
        self._note(partition, self._stores[partition])
        if last + 1 == end:
            self._ends[partition] = end
            self._stores[partition].write(stored, last)
        else:
            # Somebody else wrote in between. Keep the stored offset, so that the next claim reads it.
            self._stores[partition].write(stored, None)
            self._owned.pop(partition, None)
        self.in_flight.written(partition, rows)

    async def purge(self, keep: Callable[[bytes], bool]) -> int:
        """Delete rows that `keep` rejects from this machine's stores; the changelog expires on its own."""
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
            forget_gone(store)
        return purged

    def close(self) -> None:
        """Close all stores."""
        for store in self._stores.values():
            store.close()
        self._stores.clear()
        self._owned.clear()
        self._ends.clear()
        self.in_flight.clear()

    async def _restore(self, partitions: list[int]) -> None:
        consumer = await insist(f"the changelog of table {self.name}", self._connected)
        try:
            tps = {p: aiokafka.TopicPartition(self.changelog, p) for p in partitions}
            consumer.assign(list(tps.values()))
            first, end = await bounds_of(consumer, tps.values())
            for partition, tp in tps.items():
                await self._restore_one(consumer, partition, tp, first[tp], end[tp])
        finally:
            self.restoring.clear()
            await consumer.stop()

    async def _connected(self) -> Any:
        return await started(self._consumer())

    async def _restore_one(self, consumer: Any, partition: int, tp: Any, first: int, end: int) -> None:
        store = self._stores.get(partition)
        if store is None:
            store = self._stores[partition] = await asyncio.to_thread(self._open_store, self.name, partition)
        self._check(partition, store, end)
        have = store.offset()
        if self.owned_rows is not None:
            self.owned_rows.complete(store, ((key, unpack(row)[1]) for key, row in store.items()))
        if self.counted_rows is not None:
            self.counted_rows.complete(store, ((key, unpack(row)[1]) for key, row in store.items()))
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
            # Prefetched records arrive without a turn of the event loop, which has other work too.
            await asyncio.sleep(0)
            if time.monotonic() - told > 5:
                told = time.monotonic()
                log.info("restoring table %s[%d]: %d changelog records left", self.name, partition, end - at)
        self.restoring.pop(partition, None)
        self._ends[partition] = end
        if self._due_rows is not None:
            self._due_rows.load(partition, store)

    def _check(self, partition: int, store: Store, end: int) -> None:
        """Check that the store belongs to this changelog. Raises bus.layout.LayoutError."""
        note, now = (store.get(_CHANGELOG) or b"").decode(), self._identity()
        name, _, identity = note.rpartition(" ")
        if name and name != self.changelog:
            log.warning("%s holds table %s of %s, not of %s: starting over", self._directory, self.name, name,
                        self.changelog)  # fmt: skip
            store.wipe()
        before, have = Identity.parsed(identity) if name == self.changelog else None, store.offset()
        is_another = before is not None and now is not None and before.id != now.id
        if is_another or (have is not None and have >= end):
            raise ChangelogMadeAnew(self.name, self.changelog, partition, self._directory)
        if before is not None and now is not None:
            check_stored({self.changelog: before}, {self.changelog: now})
        self._note(partition, store)

    def _note(self, partition: int, store: Store) -> None:
        """Record the changelog's identity in the store."""
        now = self._identity() if partition not in self._noted else None
        if now is not None:
            self._noted.add(partition)
            store.write({_CHANGELOG: f"{self.changelog} {now}".encode()}, None)

    def _apply(self, partition: int, store: Store, records: list[Any]) -> dict[bytes, bytes | None]:
        """Store the rows of some changelog records; returns overwritten rows with their correct values."""
        rows: dict[bytes, bytes | None] = {}
        versions: dict[bytes, int] = {}
        written_over: dict[bytes, bytes | None] = {}
        for record in records:
            key, known = record.key, versions.get(record.key)
            if known is None:
                known = known_version(store, key)
            version = version_in(record.headers) if record.value is None else unpack(record.value)[0]
            if version is not None and version < known:
                right = rows[key] if key in rows else store.get(key)
                written_over[key] = None if right is None else unpack(right)[1]
                continue
            written_over.pop(key, None)
            rows[key], versions[key] = record.value, known if version is None else version
        stored = dict(self._marked(partition, rows))
        for key, row in rows.items():
            if row is None:
                stored |= gone(key, versions[key])
        store.write(stored, records[-1].offset)
        return written_over

    def _marked(self, partition: int, rows: Mapping[bytes, bytes | None]) -> Mapping[bytes, bytes | None]:
        """Return packed rows, with the entries that the indexes need."""
        if self._due_rows is None and self.owned_rows is None and self.counted_rows is None:
            return rows
        values = {key: None if row is None else unpack(row)[1] for key, row in rows.items()}
        marks = dict(self._due_rows.marks(partition, values)) if self._due_rows is not None else {}
        changes: Counter[bytes] = Counter()
        for key, value in values.items() if self.owned_rows or self.counted_rows else ():
            before = self._stored(partition, key)
            if self.owned_rows is not None:
                marks |= self.owned_rows.marks(key, before, value)
            if self.counted_rows is not None:
                changes.update(self.counted_rows.changes(key, before, value))
        if self.counted_rows is not None:
            marks |= self.counted_rows.marks(self._stores[partition], changes)
        return {**rows, **marks}

    def _stored(self, partition: int, key: bytes) -> bytes | None:
        row = self._stores[partition].get(key)
        return None if row is None else unpack(row)[1]

    def _delete(self, partition: int, store: Store, suspects: list[bytes], keep: Callable[[bytes], bool]) -> int:
        """Delete these rows unless they are kept. Each is checked again, because the sweep saw an older state."""
        dead = [key for key in suspects if (row := store.get(key)) is not None and not keep(unpack(row)[1])]
        if dead:
            store.write(self._marked(partition, dict.fromkeys(dead)), None)
        return len(dead)
