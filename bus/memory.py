"""In-memory Kafka for tests of code built on `bus`: logs, a producer, consumers, tables."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple, Protocol

from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError

from bus.admin import TopicDescription, TopicLog
from bus.layout import Identity
from bus.ledger import Ledger, TopicPartition
from bus.measures import Tally
from bus.producer import Addressed, Keyed
from bus.reading import group, outside
from bus.tables.store import MemoryStore, Store
from bus.tables.table import NO_INDEXES, Indexes, Table
from bus.telemetry.tracing import Tracing
from bus.worker.batch import Batch
from bus.worker.inbox import Admitted
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.records import Record as SchemaRecord
from schemas.topics import DEFAULT_MAX_MESSAGE_BYTES, Catalogue

CODEC = Codec(FolderRegistry())
CATALOGUE = Catalogue(partitions=1)


class Record(NamedTuple):
    """A log record, with aiokafka's field names."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()


class Patches(Protocol):
    """Replaces names in modules during a test: pytest's MonkeyPatch."""

    def setattr(self, target: Any, name: str, value: Any) -> None:
        """Replace an attribute of a module."""


class MemoryKafka:
    """Logs by topic and partition, with their producer. Stands in for a worker where a batch needs one.

    `sent` is everything in send order. Topics in `refusing` reject records; `refuses` is raised by every send;
    `failing` lists errors that the next sends fail with. While `acknowledges` is False, sends wait in `open`, and
    `waiting` is the reported waiting time in seconds.
    """

    def __init__(self, partitions: int = 1) -> None:
        self.logs: dict[tuple[str, int], list[Record]] = defaultdict(list)
        self.sent: list[Record] = []
        self.refusing: set[str] = set()
        self.refuses: Exception | None = None
        self.failing: list[Exception] = []
        self.acknowledges = True
        self.open: list[asyncio.Future[Any]] = []
        self.waiting = 0.0
        self.committed: dict[str, dict[Any, int]] = {}
        """Offsets by group."""
        self.ids: dict[str, str] = {}
        """Kafka's id of a topic, where it is not `first`."""
        self.begins: dict[tuple[str, int], int] = {}
        """Where a log begins after retention has deleted its head."""
        self._partitions = partitions
        self.records_producer = self.consumer = self
        self.codec, self.catalogue = CODEC, CATALOGUE
        self.ledgers: dict[TopicPartition, Ledger] = {}
        self.claimed: dict[str, int] = {}
        self.failure_ratio = 0.5
        self.records = Tally()
        self.tracing: Tracing | None = None

    async def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Any = None,
        partition: int | None = None,
    ) -> asyncio.Future[Any]:
        """Append; the future is done at once, unless the test said otherwise.

        Raises what the real producer and broker raise for oversized records.
        """
        if topic in self.refusing:
            raise KafkaConnectionError(f"{topic} rejects records")
        if self.refuses is not None:
            raise self.refuses
        known = self.catalogue.named(topic)
        size = len(value or b"") + len(key or b"") + sum(len(name) + len(text) for name, text in headers or ())
        if size > (DEFAULT_MAX_MESSAGE_BYTES if known is None else known.max_message_bytes):
            raise MessageSizeTooLargeError(f"{topic}: {size} bytes")
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self.failing:
            done.set_exception(self.failing.pop(0))
            return done
        log = self.logs[topic, partition or 0]
        log.append(Record(topic, partition or 0, len(log), key, value, headers=tuple(headers or ())))
        self.sent.append(log[-1])
        if self.acknowledges:
            done.set_result(SimpleNamespace(offset=len(log) - 1))
        else:
            self.open.append(done)
        return done

    async def send_batch(
        self, topic: str, partition: int, records: Iterable[Keyed], generation: int | None = None
    ) -> int:
        """Append, and return the last offset once everything is acknowledged."""
        return await self._append(Addressed(topic, value, key, headers, partition) for key, value, headers in records)

    async def send_all(self, records: Iterable[Addressed], generation: int | None = None) -> None:
        """Append, and return once everything is acknowledged."""
        await self._append(records)

    async def _append(self, records: Iterable[Addressed]) -> int:
        sent = [
            await self.send(topic, value, key=key, headers=headers, partition=partition)
            for topic, value, key, headers, partition in records
        ]
        acknowledged = await asyncio.gather(*sent)
        return acknowledged[-1].offset if acknowledged and acknowledged[-1] is not None else -1

    async def partitions(self, topic: str) -> int:
        """Return the partition count, the same for each topic."""
        return self._partitions

    def acknowledge(self) -> None:
        """Acknowledge what waits, and everything from now on."""
        self.acknowledges = True
        for future in self.open:
            if not future.done():
                future.set_result(None)

    def reader(self, group_id: str | None = None) -> MemoryConsumer:
        """Return a consumer of these logs; members of a group share its committed offsets."""
        return MemoryConsumer(self.logs, self.committed.setdefault(group_id or "", {}))

    def readers(self, patches: Patches, *modules: ModuleType) -> None:
        """Make reads in these modules come from here, and their admin calls too."""
        for module in (outside, group):
            patches.setattr(module, "new_consumer", lambda *_, group_id=None, **__: self.reader(group_id))
        for module in modules:
            patches.setattr(module, "Admin", lambda _: _Admin(self))

    def store(self, topic: str, *records: SchemaRecord | None, key: bytes | None = None, partition: int = 0) -> None:
        """Append to a topic (catalogue short name), one record per millisecond."""
        name = self.catalogue[topic].name
        log = self.logs[name, partition]
        for record in records:
            value = None if record is None else self.codec.encode(record)
            log.append(Record(name, partition, len(log), key, value, timestamp=len(log)))

    def count_results(self, stage: str, batch: Batch) -> None:
        """Ignore the results of a batch, which are not counted here."""

    async def confirm(self, generation: int) -> None:
        """Confirm: partitions are never lost."""

    async def end_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offset after the last record of each partition."""
        return {tp: len(self.logs[tp]) for tp in tps}

    def batch(self, sources: list[Admitted], *tables: Table, generation: int = 1) -> Batch:
        """Return a batch like those of `batches`."""
        worker: Any = self
        return Batch(sources, "test", worker, tables, generation)

    def table(
        self,
        name: str,
        stores: dict[int, Store] | None = None,
        indexes: Indexes = NO_INDEXES,
    ) -> Table:
        """Return a table logged here, over stores that outlive it."""
        kept: dict[int, Store] = {} if stores is None else stores
        producer: Any = self
        return Table(
            name,
            f"changelog-{name}",
            producer,
            open_store=lambda _, partition: kept.setdefault(partition, MemoryStore()),
            consumer=self.reader,
            identity=lambda: self.identity(f"changelog-{name}"),
            indexes=indexes,
        )

    def identity(self, topic: str) -> Identity | None:
        """Identify a topic by its first record, so that a recreated topic is a different one."""
        first = next((log[0] for (name, _), log in self.logs.items() if name == topic and log), None)
        return None if first is None else Identity(str(id(first)), 1)

    def admitted(self, topic: str, key: bytes | None, value: bytes, timestamp: int = 0) -> Admitted:
        """Return a record as a stage receives it."""
        log = self.logs[topic, 0]
        log.append(Record(topic, 0, len(log), key, value, timestamp))
        return Admitted(ledger(), log[-1])


async def make_durable(batch: Batch) -> None:
    """Take a batch through its steps alone, as `bus.worker.line` does among others."""
    batch.decide()
    for step in batch.steps():
        if step is not None:
            await step()


def ledger(partition: int = 0, generation: int = 1) -> Ledger:
    """Return the ledger of an assigned partition."""
    return Ledger(TopicPartition("any", partition), 0, generation)


class MemoryConsumer:
    """A consumer with the parts of aiokafka's interface in use. It is the only member of its group and gets every
    partition."""

    def __init__(self, logs: Mapping[tuple[str, int], list[Record]], committed: dict[Any, int] | None = None) -> None:
        self.offsets: dict[Any, int] = {} if committed is None else committed
        """Committed offsets."""
        self.failing: list[Exception] = []
        """Errors that the next reads raise."""
        self._logs = logs
        self._positions: dict[Any, int] = {}
        self._paused: set[Any] = set()
        self._topics: list[str] = []
        self._listener: Any = None

    def subscribe(self, topics: list[str], listener: Any) -> None:
        self._topics, self._listener = topics, listener

    async def start(self) -> None:
        if self._listener is not None:
            self.assign([TopicPartition(*at) for at in sorted(self._logs) if at[0] in self._topics])
            await self._listener.on_partitions_assigned(list(self._positions))

    async def stop(self) -> None:
        pass

    def assign(self, tps: list[Any]) -> None:
        self._positions = dict.fromkeys(tps, 0)

    async def committed(self, tp: Any) -> int | None:
        return self.offsets.get(tp)

    async def commit(self, offsets: Mapping[Any, int] | None = None) -> None:
        self.offsets |= self._positions if offsets is None else offsets

    def assignment(self) -> set[Any]:
        return set(self._positions)

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {number for name, number in self._logs if name == topic}

    def pause(self, *tps: Any) -> None:
        self._paused.update(tps)

    def resume(self, *tps: Any) -> None:
        self._paused.difference_update(tps)

    def paused(self) -> set[Any]:
        return set(self._paused)

    async def beginning_offsets(self, tps: list[Any]) -> dict[Any, int]:
        return dict.fromkeys(tps, 0)

    async def end_offsets(self, tps: list[Any]) -> dict[Any, int]:
        return {tp: len(self._logs[tuple(tp)]) for tp in tps}

    async def offsets_for_times(self, times: Mapping[Any, int]) -> dict[Any, SimpleNamespace | None]:
        found = {tp: next((r for r in self._logs[tuple(tp)] if r.timestamp >= at), None) for tp, at in times.items()}
        return {tp: None if record is None else SimpleNamespace(offset=record.offset) for tp, record in found.items()}

    def seek(self, tp: Any, offset: int) -> None:
        self._positions[tp] = offset

    async def position(self, tp: Any) -> int:
        return self._positions[tp]

    async def getmany(self, *tps: Any, timeout_ms: int, max_records: int = 500) -> dict[Any, list[Record]]:
        await asyncio.sleep(0)
        if self.failing:
            raise self.failing.pop(0)
        found = {}
        for tp in tps or self._positions:
            if tp not in self._paused:
                records = self._logs[tuple(tp)][self._positions[tp] :][:max_records]
                self._positions[tp] += len(records)
                max_records -= len(records)
                found[tp] = records
        return {tp: records for tp, records in found.items() if records}


class _Admin:
    """What readers ask the admin client; topics exist once something has been written to them."""

    def __init__(self, kafka: MemoryKafka) -> None:
        self._kafka = kafka

    def __enter__(self) -> _Admin:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def describe(self, names: Iterable[str]) -> dict[str, TopicDescription]:
        return {
            name: TopicDescription(name=name, partitions=1 + max(partitions), replication=1, settings={})
            for name, partitions in self._partitions(names).items()
        }

    def logs(self, names: Iterable[str]) -> dict[str, TopicLog]:
        return {
            name: TopicLog(
                self._kafka.ids.get(name, "first"),
                {number: self._kafka.begins.get((name, number), 0) for number in partitions},
                {number: len(self._kafka.logs[name, number]) for number in partitions},
            )
            for name, partitions in self._partitions(names).items()
        }

    def _partitions(self, names: Iterable[str]) -> dict[str, list[int]]:
        wanted = set(names)
        found: dict[str, list[int]] = {}
        for name, number in sorted(self._kafka.logs):
            if name in wanted:
                found.setdefault(name, []).append(number)
        return found
