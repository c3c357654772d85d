"""Kafka in memory, for real batches and real tables in unit tests: logs, a producer, a consumer of changelogs."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

from aiokafka.errors import KafkaConnectionError
from prometheus_client import Counter

from bus.batches import Batch, FailureLimit
from bus.due import DueRows
from bus.inbox import Admitted
from bus.ledger import Ledger, TopicPartition
from bus.owners import OwnedRows
from bus.stores import MemoryStore, Store
from bus.tables import Table
from schemas.codec import Codec
from schemas.registry import FolderRegistry
from schemas.topics import Catalogue

CODEC = Codec(FolderRegistry())
CATALOGUE = Catalogue(partitions=1)


class Record(NamedTuple):
    """A record of a log, with the fields that aiokafka's have."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()


class MemoryKafka:
    """Logs by topic and partition. It stands for a worker too, as far as a batch looks at one.

    `sent` is everything in the order in which it was sent. Topics in `refusing` take nothing.
    """

    def __init__(self) -> None:
        self.logs: dict[tuple[str, int], list[Record]] = defaultdict(list)
        self.sent: list[Record] = []
        self.refusing: set[str] = set()
        self.records_producer = self.consumer = self
        self.codec, self.catalogue = CODEC, CATALOGUE
        self.ledgers: dict[TopicPartition, Ledger] = {}
        self.claimed: dict[str, int] = {}
        self.records = Counter("records", "Records.", ["stage", "result"], registry=None)

    async def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Any = None,
        partition: int | None = None,
    ) -> asyncio.Future[Any]:
        """Append, acknowledged at once."""
        if topic in self.refusing:
            raise KafkaConnectionError(f"{topic} takes nothing")
        log = self.logs[topic, partition or 0]
        log.append(Record(topic, partition or 0, len(log), key, value, headers=tuple(headers or ())))
        self.sent.append(log[-1])
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        done.set_result(SimpleNamespace(offset=len(log) - 1))
        return done

    async def confirm(self, generation: int) -> None:
        """Partitions are never lost."""

    async def end_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset after the last record of each partition."""
        return {tp: len(self.logs[tp]) for tp in tps}

    def batch(self, sources: list[Admitted], *tables: Table, generation: int = 1) -> Batch:
        """A batch as `batches` makes it."""
        worker: Any = self
        return Batch(sources, "test", worker, FailureLimit(), tables, generation)

    def table(
        self,
        name: str,
        stores: dict[int, Store] | None = None,
        due_rows: DueRows | None = None,
        owned_rows: OwnedRows | None = None,
    ) -> Table:
        """A table logged here, over stores that outlive it."""
        kept: dict[int, Store] = {} if stores is None else stores
        producer: Any = self
        return Table(
            name,
            f"changelog-{name}",
            producer,
            open_store=lambda _, partition: kept.setdefault(partition, MemoryStore()),
            consumer=lambda: _Consumer(self.logs),
            due_rows=due_rows,
            owned_rows=owned_rows,
        )

    def admitted(self, topic: str, key: bytes | None, value: bytes, timestamp: int = 0) -> Admitted:
        """A record as a stage gets it."""
        log = self.logs[topic, 0]
        log.append(Record(topic, 0, len(log), key, value, timestamp))
        return Admitted(ledger(), log[-1])


def ledger(partition: int = 0, generation: int = 1) -> Ledger:
    """A partition that is assigned."""
    return Ledger(TopicPartition("any", partition), 0, generation)


class _Consumer:
    """What `Table` uses of an aiokafka consumer."""

    def __init__(self, logs: Mapping[tuple[str, int], list[Record]]) -> None:
        self._logs = logs
        self._positions: dict[Any, int] = {}

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    def assign(self, tps: list[Any]) -> None:
        self._positions = dict.fromkeys(tps, 0)

    def assignment(self) -> set[Any]:
        return set(self._positions)

    def pause(self, *tps: Any) -> None:
        pass

    def resume(self, *tps: Any) -> None:
        pass

    async def beginning_offsets(self, tps: list[Any]) -> dict[Any, int]:
        return dict.fromkeys(tps, 0)

    async def end_offsets(self, tps: list[Any]) -> dict[Any, int]:
        return {tp: len(self._logs[tuple(tp)]) for tp in tps}

    def seek(self, tp: Any, offset: int) -> None:
        self._positions[tp] = offset

    async def position(self, tp: Any) -> int:
        return self._positions[tp]

    async def getmany(self, tp: Any, timeout_ms: int, max_records: int) -> dict[Any, list[Record]]:
        records = self._logs[tuple(tp)][self._positions[tp] :][:max_records]
        self._positions[tp] += len(records)
        return {tp: records} if records else {}
