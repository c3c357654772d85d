"""The batch loop of an agent: take admitted records, do the work, make it durable, only then move the offsets.

    async for batch in batches(worker, inbox, stage="normalize"):
        for source in batch:
            with batch.attempt(source):
                ...

Order of effects in a batch: records are sent and acknowledged, then table rows are written and acknowledged,
then the offsets move. A crash between two steps repeats work that gives the same ids; nothing is lost.

What happens by time and not because a record came is the work of a tick: a batch of its own, without records.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from bus.clock import now_ms
from bus.ledger import Ledger
from bus.logs import about
from bus.measures import Tally
from bus.producer import Addressed, KafkaError, Producer
from bus.tables.store import StoreFailed
from bus.tables.table import Stale, Table
from bus.tables.versions import version_header
from bus.worker.consumer import LosslessConsumer, PartitionsLost
from bus.worker.inbox import Admitted, Inbox, Kept
from schemas.cloudevents import event_headers
from schemas.codec import Codec, CodecError
from schemas.folder_registry import RegistryError
from schemas.ids import derived_id
from schemas.records import Record, RejectedRecord
from schemas.topics import Catalogue

if TYPE_CHECKING:
    from bus.telemetry.tracing import Tracing, Work

log = logging.getLogger(__name__)

BATCH_RECORDS = 500
"""Records of one batch: large enough that an acknowledgement is shared by many, small enough that a replay is short."""

LOOK_AGAIN = 10.0
"""Seconds between looks at the changelogs for writes of others; also how long a loop with tables waits for a record."""

NO_GENERATION = -1
"""Stands for the group's generation while there are no partitions."""

_TIME_BITS = 42
"""Bits of a row's version that hold the time in ms (until the year 2109); above them stands the generation."""


NOT_OF_THE_RECORD = (StoreFailed, KafkaError, RegistryError, MemoryError, OSError)
"""Errors of the machine. They say nothing about the record that met them, and end the worker with it unsettled."""


RECORD_OVERHEAD = 512
"""Bytes that Kafka adds to a record that is alone in its batch, and their room to grow."""


class TooLarge(ValueError):
    """What would be sent is larger than its topic takes. It is refused before anything of its record is sent."""


class TooManyFailures(RuntimeError):
    """Processing fails so often that going on would pour the topic into `sms.rejected`."""


class FailureLimit:
    """Stops a worker whose code fails: more than `ratio` of the last records, at least `window` of them, raised.

    Only unexpected exceptions count. Malformed input does not, or anybody who can post could stop the worker.
    It is judged by whole batches, before one of them is made durable: what is judged too bad stays on its topic.
    """

    def __init__(self, window: int = 200, ratio: float = 0.5) -> None:
        self._batches: deque[tuple[int, int]] = deque()
        self._records = self._failed = 0
        self._window = window
        self._ratio = ratio

    def judge(self, records: int, failed: int) -> None:
        """Note how many records a batch had and how many failed. Raises TooManyFailures past the limit."""
        self._batches.append((records, failed))
        self._records += records
        self._failed += failed
        while self._records - self._batches[0][0] >= self._window:
            old_records, old_failed = self._batches.popleft()
            self._records -= old_records
            self._failed -= old_failed
        if failed and self._records >= self._window and self._failed > self._ratio * self._records:
            raise TooManyFailures(
                f"{self._failed} of the last {self._records} records failed; the log has their errors. What was not "
                "settled stays on its topic and is read again: mend the cause before you start again. If it is junk "
                "that somebody wrote there, start once with TRACKLY_FAILURE_RATIO=1: it goes to the rejected topic."
            )


class Rows:
    """Rows of one table as a batch sees them: the table's, with the batch's own writes on top.

    `least_version` is below no version that a worker without right to a row may have written (`_least_version`).
    """

    def __init__(self, table: Table, least_version: int) -> None:
        self._table = table
        self._least_version = least_version
        self._written: dict[int, dict[bytes, tuple[int, bytes | None]]] = {}
        self._undo: list[tuple[int, bytes, tuple[int, bytes | None] | None, Counter[bytes]]] = []
        self._changes: defaultdict[int, Counter[bytes]] = defaultdict(Counter)

    def get(self, partition: int, key: bytes) -> bytes | None:
        """Value of a row, or None."""
        written = self._written.get(partition)
        if written is not None and key in written:
            return written[key][1]
        return self._table.get(partition, key)[1]

    def version(self, partition: int, key: bytes) -> int:
        """Version of a row as it is, or with which it was deleted; 0 where nothing is known of the key."""
        written = self._written.get(partition, {}).get(key)
        return self._table.version(partition, key) if written is None else written[0]

    def keys_of(self, partition: int, owner: bytes) -> list[bytes]:
        """Keys of the rows that are about somebody, in order. The table's index says whom a row is about."""
        index = self._table.owned_rows
        if index is None:
            return []
        written = self._written.get(partition, {})
        keys = {key for key in self._table.keys_of(partition, owner) if key not in written}
        keys |= {k for k, (_, value) in written.items() if value is not None and owner in index.owners_of(value)}
        return sorted(keys)

    def count(self, partition: int, label: bytes) -> int:
        """How many rows have a label. The table's `counted_rows` say which labels a row has."""
        return self._table.count(partition, label) + self._changes[partition][label]

    def put(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Write a row when the batch becomes durable, or delete it (None); the last of several writes counts.

        Raises TooLarge.
        """
        size = len(key) + len(value or b"") + RECORD_OVERHEAD
        if size > self._table.max_bytes:
            raise TooLarge(f"a row of {size} bytes; table {self._table.name} takes {self._table.max_bytes}")
        written = self._written.setdefault(partition, {})
        before = written.get(key)
        version = self._next_version(partition, key) if before is None else before[0]
        changes: Counter[bytes] = Counter()
        if self._table.counted_rows is not None:
            old = self._table.get(partition, key)[1] if before is None else before[1]
            changes = self._table.counted_rows.changes(key, old, value)
            self._changes[partition].update(changes)
        written[key] = (version, value)
        self._undo.append((partition, key, before, changes))

    def begin(self) -> None:
        """What is put from here on may be taken back."""
        self._undo.clear()

    def take_back(self) -> None:
        """Forget what was put since `begin`."""
        for partition, key, before, changes in reversed(self._undo):
            self._changes[partition].subtract(changes)
            if before is not None:
                self._written[partition][key] = before
            else:
                del self._written[partition][key]
        self._written = {partition: rows for partition, rows in self._written.items() if rows}
        self._undo.clear()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be written."""
        return not self._written

    async def write(self) -> None:
        """Write everything to the table."""
        await asyncio.gather(*(self._table.write(p, rows) for p, rows in self._written.items()))

    def _next_version(self, partition: int, key: bytes) -> int:
        return max(self._table.version(partition, key) + 1, self._least_version)


class BatchWorker(Protocol):
    """What the loop needs of the worker that it runs in."""

    failure_ratio: float
    codec: Codec
    catalogue: Catalogue
    records_producer: Producer
    records: Tally
    claimed: dict[str, int]
    tracing: Tracing | None

    @property
    def consumer(self) -> LosslessConsumer:
        """Knows which partitions are this worker's."""

    def told(self, stage: str, batch: Batch) -> None:
        """A batch is through: count what it led to."""


class Batch:
    """Records of one turn of the loop, and what they lead to."""

    def __init__(
        self,
        sources: list[Admitted],
        stage: str,
        worker: BatchWorker,
        tables: Iterable[Table],
        generation: int,
        work: Work[Admitted] | None = None,
    ) -> None:
        self.sources = sources if work is None else work.sources
        self.generation = generation
        self._work = work
        self._stage = stage
        self._producer = worker.records_producer
        self._codec = worker.codec
        self._catalogue = worker.catalogue
        self._consumer = worker.consumer
        least = _least_version(generation)
        self._rows = {table.name: Rows(table, least) for table in tables}
        self._outgoing: list[Addressed] = []
        self.rejected: Counter[str] = Counter()
        """Records and items put into the rejected topic, by reason."""
        self.held: Counter[str] = Counter()
        """Removals that a brake has taken hold of, by reason."""
        self.received: list[tuple[int, int]] = []
        """When (ms) the callbacks were received that events go back to, with the events' places in what is sent."""
        self.failed = 0
        """Records whose processing raised what it should not."""

    def __iter__(self) -> Iterator[Admitted]:
        return iter(self.sources)

    def rows(self, table: Table) -> Rows:
        """Rows of a table that was given to `batches`."""
        return self._rows[table.name]

    def send(
        self,
        topic: str,
        record: Record | None,
        *,
        key: bytes | None,
        event_id: str,
        at: int,
        partition: int | None = None,
        traceparent: bytes | None = None,
        source: bytes | None = None,
        source_sha256: bytes | None = None,
        version: int | None = None,
        received_at: int | None = None,
    ) -> None:
        """Send a record when the batch becomes durable, or a tombstone (None).

        `topic` is the catalogue's short name; `at` is in ms; `source`, `source_sha256` and `version` are what headers
        of these names tell; `received_at` is when (ms) the callback was received that an event goes back to. Raises
        TooLarge, and CodecError for a record that does not fit its schema.
        """
        value = None if record is None else self._codec.encode(record)
        headers = None if record is None else event_headers(record, event_id, at, traceparent)
        if headers is not None and source is not None:
            headers.append(("source", source))
        if headers is not None and source_sha256 is not None:
            headers.append(("source_sha256", source_sha256))
        if version is not None:
            headers = [*(headers or ()), version_header(version)]
        if headers is not None and received_at:
            headers.append(("received_at", b"%d" % received_at))
        place = self._catalogue[topic]
        size = len(key or b"") + len(value or b"") + sum(len(n) + len(v) + 8 for n, v in headers or ())
        if size + RECORD_OVERHEAD > place.max_message_bytes:
            raise TooLarge(f"a record of {size} bytes; {place.name} takes {place.max_message_bytes - RECORD_OVERHEAD}")
        if received_at:
            self.received.append((len(self._outgoing), received_at))
        self._outgoing.append(Addressed(place.name, value, key, headers, partition))

    def send_to_all(
        self, topic: str, record: Record, *, event_id: str, at: int, traceparent: bytes | None = None
    ) -> None:
        """Send a record to every partition of a topic, without a key."""
        for partition in range(self._catalogue[topic].partitions):
            self.send(topic, record, key=None, event_id=event_id, at=at, partition=partition, traceparent=traceparent)

    def rewrite(self, stale: Stale) -> None:
        """Write a row again that was written over in the changelog."""
        self._rows[stale.table].put(stale.partition, stale.key, stale.value)

    @contextmanager
    def attempt(self, source: Admitted) -> Iterator[None]:
        """Process one record: what raises here goes to the rejected topic, and the batch goes on without it.

        Errors of the store, of Kafka and of the machine (NOT_OF_THE_RECORD) pass through.
        """
        sent = len(self._outgoing)
        for rows in self._rows.values():
            rows.begin()
        try:
            yield
        except NOT_OF_THE_RECORD:
            raise
        except TooLarge as error:
            self._take_back(sent)
            self.reject(source, "too_large", str(error))
        except CodecError as error:
            self._take_back(sent)
            self.reject(source, "not_decodable", str(error))
            self.failed += 1
        except Exception as error:
            self._take_back(sent)
            log.exception("%s failed on %s", self._stage, _place(source), extra=about_source(source, self._stage))
            self.reject(source, "internal_error", f"{type(error).__name__}: {error}")
            self.failed += 1

    def _take_back(self, sent: int) -> None:
        del self._outgoing[sent:]
        self.received = [each for each in self.received if each[0] < sent]
        for rows in self._rows.values():
            rows.take_back()

    def reject(
        self,
        source: Admitted | Kept,
        reason: str,
        error: str,
        *,
        account: str | None = None,
        provider: str | None = None,
        item: tuple[int, str] | None = None,
        may_opt_out: bool = False,
    ) -> None:
        """Put a record, or one item of it (index and text), into the rejected topic with the reason.

        `may_opt_out`: somebody may say in it that they want no more messages.
        """
        record = source.record if isinstance(source, Admitted) else source
        now = now_ms()
        event_id = derived_id(record.topic, record.partition, record.offset, item[0] if item else "record")
        rejected = RejectedRecord(
            event_id=event_id,
            stage=self._stage,
            reason=reason,
            error=error[:2_000],
            account=account,
            provider=provider,
            source_topic=record.topic,
            source_partition=record.partition,
            source_offset=record.offset,
            item_index=item[0] if item else None,
            item=item[1] if item else None,
            source_value=None if item else record.value,
            rejected_at=now,
            may_opt_out=may_opt_out,
        )
        self.rejected[reason] += 1
        if self._work is not None and isinstance(source, Admitted):
            self._work.rejected(source, reason)
        try:
            self.send("rejected", rejected, key=record.key, event_id=event_id, at=now)
        except TooLarge:
            # Its place is told, and there it lies as long as its own topic keeps it.
            rejected = replace(rejected, source_value=None, item=None)
            self.send("rejected", rejected, key=None, event_id=event_id, at=now)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be made durable."""
        return not self._outgoing and all(rows.is_empty for rows in self._rows.values())

    async def make_durable(self) -> None:
        """Send, await, write the tables in their order, await.

        Raises aiokafka.errors.KafkaError when Kafka does not take it, PartitionsLost when they are another's.
        """
        await self._consumer.confirm(self.generation)
        if self._outgoing:
            await self._producer.send_all(self._outgoing)
        await self._consumer.confirm(self.generation)
        for rows in self._rows.values():
            await rows.write()

    def settle(self) -> None:
        """Move the offsets over this batch. Raises SkippedOffsets when one before it was not settled."""
        runs: dict[Ledger, tuple[int, int]] = {}
        for ledger, record, _ in self.sources:
            first, _ = runs.get(ledger, (record.offset, 0))
            runs[ledger] = first, record.offset
        for ledger, (first, last) in runs.items():
            ledger.settle_run(first, last)


async def batches(
    worker: BatchWorker,
    inbox: Inbox,
    *,
    stage: str,
    tables: Iterable[Table] = (),
    repair: Callable[[Batch, Stale], None] = lambda batch, stale: None,
    tick: Callable[[Batch], None] | None = None,
    tick_every: float = 1.0,
) -> AsyncIterator[Batch]:
    """Batches of an inbox, for ever. A batch that cannot be made durable ends the worker: it recovers from the log.

    A batch is settled only after its turn of the loop has come to its end. What leaves the loop by an exception has
    settled nothing, and no later batch settles over it (`Ledger.settle_run`).

    Rows that a worker without right to them wrote over are written again; `repair` sends what follows from such a row.
    `tick` is called about every `tick_every` seconds, whether records come or not, with a batch of its own, while
    there are partitions; what it sends and writes is made durable like everything else.
    """
    limit = FailureLimit(ratio=worker.failure_ratio)
    claims = _Claims(worker, inbox, stage, tuple(tables))
    rest = min(LOOK_AGAIN if claims.tables else math.inf, tick_every if tick else math.inf)
    ticked = time.monotonic()
    while True:
        sources = await inbox.take(BATCH_RECORDS, rest if rest < math.inf else None)
        work = None if worker.tracing is None else worker.tracing.begin(stage, sources)
        try:
            stale = await claims.make(sources)
            if sources or stale:
                generation = sources[0].ledger.generation if sources else claims.generation
                batch = Batch(sources, stage, worker, claims.tables, generation, work)
                for row in stale:
                    log.warning("%s: a row of table %s[%d] was written over; writing it again", stage, *row[:2])
                    batch.rewrite(row)
                    repair(batch, row)
                yield batch
                limit.judge(len(sources), batch.failed)
                await batch.make_durable()
                batch.settle()
                if work is not None:
                    work.end()
                worker.records.add(stage, "taken", by=len(sources))
                worker.told(stage, batch)
            if tick is not None and claims.generation != NO_GENERATION and time.monotonic() - ticked >= tick_every:
                ticked = time.monotonic()
                batch = Batch([], stage, worker, claims.tables, claims.generation)
                tick(batch)
                if not batch.is_empty:
                    await batch.make_durable()
                worker.told(stage, batch)
        except PartitionsLost as lost:
            log.warning("%s drops a batch of %d records: %s", stage, len(sources), lost)
        finally:
            inbox.done()
            if work is not None:
                work.end("not_durable")


class _Claims:
    """Holds the partitions of some tables that belong to the assigned partitions of an inbox."""

    def __init__(self, worker: BatchWorker, inbox: Inbox, stage: str, tables: tuple[Table, ...]) -> None:
        self.tables = tables
        self.generation = NO_GENERATION
        """Generation of the group in which all partitions are claimed."""
        self._worker = worker
        self._inbox = inbox
        self._stage = stage
        self._looked = time.monotonic()
        if tables:
            worker.claimed[stage] = NO_GENERATION

    async def make(self, sources: Iterable[Admitted]) -> list[Stale]:
        """Claim what was assigned since the last call, and what these records need. Returns rows written over."""
        consumer = self._worker.consumer
        stale: list[Stale] = []
        ledgers = [ledger for tp, ledger in consumer.ledgers.items() if tp.topic in self._inbox.topics]
        generation = ledgers[0].generation if ledgers else NO_GENERATION
        if generation != self.generation:
            for table in self.tables:
                table.keep(ledger.tp.partition for ledger in ledgers)
                stale += await table.claim(ledgers)
            self.generation = generation
            if self.tables:
                self._worker.claimed[self._stage] = generation
        for table in self.tables:
            stale += await table.claim(source.ledger for source in sources)
        if self.tables and time.monotonic() - self._looked >= LOOK_AGAIN:
            self._looked = time.monotonic()
            for table in self.tables:
                stale += await table.look_again(consumer.end_offsets)
        return stale


def _least_version(generation: int) -> int:
    """A version that is above that of any row which was written in an earlier generation of the group, or earlier.

    What a worker has under way that has lost its partition is of an earlier generation. And a row that was purged
    here, but not from the changelog, is not taken for the newer one when it is written again.
    """
    return generation << _TIME_BITS | now_ms()


def about_source(source: Admitted, stage: str, account: str | None = None) -> dict[str, object]:
    """What a line of the log is about: the record that is processed."""
    record = source.record
    return about(
        traceparent=source.traceparent,
        account=account,
        stage=stage,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
    )


def _place(source: Admitted) -> str:
    record = source.record
    return f"{record.topic}[{record.partition}] offset {record.offset}"
