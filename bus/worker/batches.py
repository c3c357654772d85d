"""An agent's batch loop: take admitted records, process them, make the results durable, and only then move the offsets.

    async for batch in batches(worker, inbox, stage="normalize"):
        for source in batch:
            with batch.attempt(source):
                ...

Within a batch, records are sent and acknowledged first, then table rows are written and acknowledged, and then the
offsets move. A crash between two steps repeats work that produces the same ids; nothing is lost.

Work triggered by time instead of a record belongs to a tick: a batch without records.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from bus.clock import now_ms
from bus.ledger import Ledger, TopicPartition
from bus.logs import about
from bus.measures import Tally
from bus.producer import Addressed, KafkaError, Producer
from bus.tables.store import StoreFailed
from bus.tables.table import Stale, Table
from bus.tables.versions import version_header
from bus.worker.consumer import LosslessConsumer, PartitionsLost
from bus.worker.context import Context
from bus.worker.inbox import Admitted, Inbox, Kept
from schemas.cloudevents import Headers
from schemas.codec import Codec, CodecError
from schemas.folder_registry import RegistryError
from schemas.ids import derived_id
from schemas.records import Record, RejectedRecord
from schemas.topics import Catalogue

if TYPE_CHECKING:
    from bus.telemetry.tracing import Tracing, Work

log = logging.getLogger(__name__)

BATCH_RECORDS = 500
"""Records per batch: many enough to share an acknowledgment, few enough to keep a replay short."""

LOOK_AGAIN = 10.0
"""Seconds between checks of the changelogs for foreign writes; also how long a loop with tables waits for a record."""

NO_GENERATION = -1
"""Stands for the group generation while there are no partitions."""

_TIME_BITS = 42
"""Bits of a row version for the time in ms (until the year 2109); the generation is above them."""


NOT_OF_THE_RECORD = (StoreFailed, KafkaError, RegistryError, MemoryError, OSError)
"""Errors of the machine, not of the record being processed. They end the worker and leave the record unsettled."""


RECORD_OVERHEAD = 512
"""Bytes that Kafka adds to a record that is alone in its batch, with some reserve."""


class TooLarge(ValueError):
    """A record is too large for its topic. Raised before anything of its source record is sent."""


class TooManyFailures(RuntimeError):
    """Processing fails so often that continuing would move the whole topic to `sms.rejected`."""


class FailureLimit:
    """Stops a worker whose code is broken: more than `ratio` of the last records (at least `window`) raised.

    Only unexpected exceptions count. Malformed input does not, or anyone who can post could stop the worker. Whole
    batches are judged before they become durable, so the failed records stay on their topic.
    """

    def __init__(self, window: int = 200, ratio: float = 0.5) -> None:
        self._batches: deque[tuple[int, int]] = deque()
        self._records = self._failed = 0
        self._window = window
        self._ratio = ratio

    def judge(self, records: int, failed: int) -> None:
        """Add a batch's records and failures. Raises TooManyFailures beyond the limit."""
        self._batches.append((records, failed))
        self._records += records
        self._failed += failed
        while self._records - self._batches[0][0] >= self._window:
            old_records, old_failed = self._batches.popleft()
            self._records -= old_records
            self._failed -= old_failed
        if failed and self._records >= self._window and self._failed > self._ratio * self._records:
            raise TooManyFailures(
                f"{self._failed} of the last {self._records} records failed; the log has their errors. Unsettled "
                "records stay on their topic and are read again, so fix the cause before you restart. If the topic "
                "contains junk, start once with TRACKLY_FAILURE_RATIO=1: it then goes to the rejected topic."
            )


class Rows:
    """One table's rows as a batch sees them: stored rows, overlaid with the batch's own writes.

    `least_version` is at least as high as any version that a worker which lost the partition may have written
    (`_least_version`).
    """

    def __init__(self, table: Table, least_version: int) -> None:
        self._table = table
        self._least_version = least_version
        self._written: dict[int, dict[bytes, tuple[int, bytes | None]]] = {}
        self._read: dict[tuple[int, bytes], tuple[int, bytes | None]] = {}
        self._undo: list[tuple[int, bytes, tuple[int, bytes | None] | None, Mapping[bytes, int]]] = []
        self._changes: defaultdict[int, Counter[bytes]] = defaultdict(Counter)

    def get(self, partition: int, key: bytes) -> bytes | None:
        """Return the value of a row, or None."""
        written = self._written.get(partition)
        if written is not None and key in written:
            return written[key][1]
        return self._stored(partition, key)[1]

    def version(self, partition: int, key: bytes) -> int:
        """Return the version of a row or of its deletion; 0 if the key is unknown."""
        written = self._written.get(partition, {}).get(key)
        if written is not None:
            return written[0]
        version, value = self._stored(partition, key)
        return self._table.version(partition, key) if value is None else version

    def keys_of(self, partition: int, owner: bytes) -> list[bytes]:
        """Return the sorted keys of rows that concern an owner, by the table's `owned_rows` index."""
        index = self._table.owned_rows
        if index is None:
            return []
        written = self._written.get(partition, {})
        keys = {key for key in self._table.keys_of(partition, owner) if key not in written}
        keys |= {k for k, (_, value) in written.items() if value is not None and owner in index.owners_of(value)}
        return sorted(keys)

    def count(self, partition: int, label: bytes) -> int:
        """Return how many rows have a label, by the table's `counted_rows` index."""
        return self._table.count(partition, label) + self._changes[partition][label]

    def put(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Write or delete (None) a row once the batch becomes durable; the last write wins.

        Raises TooLarge.
        """
        size = len(key) + len(value or b"") + RECORD_OVERHEAD
        if size > self._table.max_bytes:
            raise TooLarge(f"the row has {size} bytes; table {self._table.name} accepts {self._table.max_bytes}")
        written = self._written.setdefault(partition, {})
        before = written.get(key)
        version = max(self.version(partition, key) + 1, self._least_version) if before is None else before[0]
        changes: Mapping[bytes, int] = {}
        if self._table.counted_rows is not None:
            old = (before or self._stored(partition, key))[1]
            changes = self._table.counted_rows.changes(key, old, value)
            if changes:
                self._changes[partition].update(changes)
        written[key] = (version, value)
        self._undo.append((partition, key, before, changes))

    def begin(self) -> None:
        """Start recording writes that may be undone."""
        self._undo.clear()

    def take_back(self) -> None:
        """Undo the writes since `begin`."""
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
        """Whether there is nothing to write."""
        return not self._written

    async def write(self) -> None:
        """Write everything to the table."""
        await asyncio.gather(*(self._table.write(p, rows) for p, rows in self._written.items()))

    def _stored(self, partition: int, key: bytes) -> tuple[int, bytes | None]:
        """Return a row as it was before the batch. It is read once: most rows are read several times, and nothing else
        writes them meanwhile."""
        row = self._read.get((partition, key))
        if row is None:
            row = self._read[partition, key] = self._table.get(partition, key)
        return row


class BatchWorker(Protocol):
    """What the loop needs from its worker."""

    failure_ratio: float
    codec: Codec
    catalogue: Catalogue
    records_producer: Producer
    records: Tally
    claimed: dict[str, int]
    tracing: Tracing | None

    @property
    def consumer(self) -> LosslessConsumer:
        """Knows which partitions belong to this worker."""

    def count_results(self, stage: str, batch: Batch) -> None:
        """Count the results of a finished batch."""


class Batch:
    """The records of one turn of the loop, and their results."""

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
        """Rejected records and items, by reason."""
        self.held: Counter[str] = Counter()
        """Removals held by a brake, by reason."""
        self.received: list[tuple[int, int]] = []
        """When (ms) the source callbacks of events were received, with the events' indexes among the sent records."""
        self.failed = 0
        """Number of records whose processing raised unexpectedly."""

    def __iter__(self) -> Iterator[Admitted]:
        return iter(self.sources)

    def rows(self, table: Table) -> Rows:
        """Return the rows of a table that was passed to `batches`."""
        return self._rows[table.name]

    def send(
        self,
        topic: str,
        record: Record,
        context: Context,
        *,
        key: bytes | None,
        partition: int | None = None,
        version: int | None = None,
    ) -> None:
        """Send a record once the batch becomes durable.

        `topic` is the catalogue's short name; `version` is that of the row that the record reports. Raises TooLarge,
        and CodecError for a record that does not fit its schema.
        """
        headers = context.headers(record)
        if version is not None:
            headers.append(version_header(version))
        received_at = context.received_at
        if received_at:
            headers.append(("received_at", b"%d" % received_at))
            self.received.append((len(self._outgoing), received_at))
        self._send(topic, self._codec.encode(record), key, headers, partition)

    def delete(self, topic: str, key: bytes, *, partition: int | None = None, version: int | None = None) -> None:
        """Send a tombstone for a key once the batch becomes durable."""
        self._send(topic, None, key, None if version is None else [version_header(version)], partition)

    def _send(
        self, topic: str, value: bytes | None, key: bytes | None, headers: Headers | None, partition: int | None
    ) -> None:
        place = self._catalogue[topic]
        size = len(key or b"") + len(value or b"")
        for name, text in headers or ():
            size += len(name) + len(text) + 8
        if size + RECORD_OVERHEAD > place.max_message_bytes:
            raise TooLarge(
                f"the record has {size} bytes; {place.name} accepts {place.max_message_bytes - RECORD_OVERHEAD}"
            )
        self._outgoing.append(Addressed(place.name, value, key, headers, partition))

    def send_to_all(self, topic: str, record: Record, context: Context) -> None:
        """Send a record without a key to every partition of a topic."""
        for partition in range(self._catalogue[topic].partitions):
            self.send(topic, record, context, key=None, partition=partition)

    def rewrite(self, stale: Stale) -> None:
        """Rewrite a row that was overwritten in the changelog."""
        self._rows[stale.table].put(stale.partition, stale.key, stale.value)

    @contextmanager
    def attempt(self, source: Admitted) -> Iterator[None]:
        """Process one record: if it raises, the record goes to the rejected topic and the batch continues without it.

        Errors of the store, of Kafka, and of the machine (NOT_OF_THE_RECORD) propagate.
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
        """Send a record, or one item of it (index and text), to the rejected topic with the reason.

        `may_opt_out`: it may contain an opt-out.
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
        context = Context(event_id, now)
        try:
            self.send("rejected", rejected, context, key=record.key)
        except TooLarge:
            # Only its position is given; the record stays available for the retention of its own topic.
            rejected = replace(rejected, source_value=None, item=None)
            self.send("rejected", rejected, context, key=None)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to make durable."""
        return not self._outgoing and all(rows.is_empty for rows in self._rows.values())

    async def make_durable(self) -> None:
        """Send and await records, then write and await the tables in their order.

        Raises aiokafka.errors.KafkaError if Kafka rejects something, PartitionsLost if the partitions have moved.
        """
        await self._consumer.confirm(self.generation)
        if self._outgoing:
            await self._producer.send_all(self._outgoing)
        await self._consumer.confirm(self.generation)
        for rows in self._rows.values():
            await rows.write()

    def settle(self) -> None:
        """Move the offsets past this batch. Raises SkippedOffsets if an earlier one has not settled."""
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
    """Yield batches of an inbox, forever. A batch that cannot be made durable ends the worker, which recovers from the
    log.

    A batch settles only when its turn of the loop is complete. If the loop is left by an exception, nothing settles,
    and no later batch settles past it (`Ledger.settle_run`).

    Rows overwritten by a worker that had lost the partition are rewritten; `repair` sends what follows from such a row.
    While there are partitions, `tick` is called about every `tick_every` seconds with a batch of its own; its results
    become durable like any others.
    """
    limit = FailureLimit(ratio=worker.failure_ratio)
    claims = _Claims(worker, inbox, stage, tuple(tables))
    rest = min(LOOK_AGAIN if claims.tables else math.inf, tick_every if tick else math.inf)
    ticked = time.monotonic()
    with closing(claims):
        while True:
            sources = await inbox.take(BATCH_RECORDS, rest if rest < math.inf else None)
            work = None if worker.tracing is None else worker.tracing.begin(stage, sources)
            try:
                stale = await claims.make(sources)
                if sources or stale:
                    generation = sources[0].ledger.generation if sources else claims.generation
                    batch = Batch(sources, stage, worker, claims.tables, generation, work)
                    for row in stale:
                        log.warning("%s: a row of table %s[%d] was overwritten; rewriting it", stage, *row[:2])
                        batch.rewrite(row)
                        repair(batch, row)
                    yield batch
                    limit.judge(len(sources), batch.failed)
                    await batch.make_durable()
                    batch.settle()
                    if work is not None:
                        work.end()
                    worker.records.add(stage, "taken", by=len(sources))
                    worker.count_results(stage, batch)
                if tick is not None and claims.generation != NO_GENERATION and time.monotonic() - ticked >= tick_every:
                    ticked = time.monotonic()
                    batch = Batch([], stage, worker, claims.tables, claims.generation)
                    tick(batch)
                    if not batch.is_empty:
                        await batch.make_durable()
                    worker.count_results(stage, batch)
            except PartitionsLost as lost:
                log.warning("%s drops a batch of %d records: %s", stage, len(sources), lost)
            finally:
                inbox.done()
                if work is not None:
                    work.end("not_durable")


class _Claims:
    """Claims the table partitions that belong to an inbox's assigned partitions."""

    def __init__(self, worker: BatchWorker, inbox: Inbox, stage: str, tables: tuple[Table, ...]) -> None:
        self.tables = tables
        self.generation = NO_GENERATION
        """Group generation in which all partitions are claimed."""
        self._worker = worker
        self._inbox = inbox
        self._stage = stage
        self._looked = time.monotonic()
        self._known: dict[TopicPartition, int] = {}
        """Where the changelogs ended, as far as was known, when Kafka was asked."""
        self._asking: asyncio.Task[dict[TopicPartition, int]] | None = None
        if tables:
            worker.claimed[stage] = NO_GENERATION

    async def make(self, sources: Iterable[Admitted]) -> list[Stale]:
        """Claim partitions assigned since the last call, and those these records need. Returns overwritten rows."""
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
        return stale + await self._written_by_others()

    async def _written_by_others(self) -> list[Stale]:
        """Return rows that others have overwritten, as far as Kafka has said.

        It is asked while the stage goes on: an answer may take as long as a broker may hold a fetch, or is away.
        """
        stale: list[Stale] = []
        if self._asking is not None and self._asking.done():
            asked, self._asking = self._asking, None
            try:
                found = asked.result()
            except KafkaError as error:
                # What others wrote stays in the changelog a little longer.
                log.warning("%s cannot look for foreign writes: %s", self._stage, type(error).__name__)
            else:
                for table in self.tables:
                    stale += await table.look_again(self._known, found)
        if self.tables and self._asking is None and time.monotonic() - self._looked >= LOOK_AGAIN:
            self._looked = time.monotonic()
            self._known = {tp: end for table in self.tables for tp, end in table.ends().items()}
            self._asking = asyncio.create_task(self._worker.consumer.end_offsets(list(self._known)))
            self._asking.add_done_callback(lambda _: self._inbox.wake())
        return stale

    def close(self) -> None:
        """Stop asking."""
        if self._asking is not None:
            self._asking.cancel()


def _least_version(generation: int) -> int:
    """Return a version above that of any row written in an earlier group generation, or earlier in time.

    A worker that has lost its partition still writes with an earlier generation. And a row that was purged here but not
    from the changelog must not look newer when it is written again.
    """
    return generation << _TIME_BITS | now_ms()


def about_source(source: Admitted, stage: str, account: str | None = None) -> dict[str, object]:
    """Return the log context of a record being processed."""
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
