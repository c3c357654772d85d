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
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bus.inbox import Admitted, Inbox, Kept
from bus.offsets import LosslessConsumer, PartitionsLost
from bus.producer import Producer
from bus.tables import Stale, Table
from schemas.cloudevents import Headers, event_headers
from schemas.codec import Codec, CodecError
from schemas.ids import derived_id
from schemas.records import Record, RejectedRecord
from schemas.topics import Catalogue

if TYPE_CHECKING:
    from bus.app import Worker

log = logging.getLogger(__name__)

BATCH_RECORDS = 500
"""Records of one batch: large enough that an acknowledgement is shared by many, small enough that a replay is short."""

LOOK_AGAIN = 10.0
"""Seconds between looks at the changelogs for writes of others; also how long a loop with tables waits for a record."""

NO_GENERATION = -1
"""Stands for the group's generation while there are no partitions."""

_TIME_BITS = 42
"""Bits of a row's version that hold the time in ms (until the year 2109); above them stands the generation."""


class TooManyFailures(RuntimeError):
    """Processing fails so often that going on would pour the topic into `sms.rejected`."""


class FailureLimit:
    """Stops a worker whose code fails: more than `ratio` of the last `window` records raised.

    Only unexpected exceptions count. Malformed input does not, or anybody who can post could stop the worker.
    """

    def __init__(self, window: int = 200, ratio: float = 0.5) -> None:
        self._outcomes: deque[bool] = deque(maxlen=window)
        self._failed = 0
        self._ratio = ratio

    def record(self, failed: bool) -> None:
        """Note the outcome of one record. Raises TooManyFailures past the limit."""
        if len(self._outcomes) == self._outcomes.maxlen:
            self._failed -= self._outcomes[0]
        self._outcomes.append(failed)
        self._failed += failed
        full = len(self._outcomes) == self._outcomes.maxlen
        if failed and full and self._failed > self._ratio * len(self._outcomes):
            raise TooManyFailures(
                f"{self._failed} of the last {len(self._outcomes)} records failed. They are in the rejected "
                "topic with their errors (`trackly rejected list`); mend the cause before you start again."
            )


class Rows:
    """Rows of one table as a batch sees them: the table's, with the batch's own writes on top.

    `least_version` is below no version that a worker without right to a row may have written (`_least_version`).
    """

    def __init__(self, table: Table, least_version: int) -> None:
        self._table = table
        self._least_version = least_version
        self._written: dict[int, dict[bytes, tuple[int, bytes | None]]] = {}
        self._undo: list[tuple[int, bytes, tuple[int, bytes | None] | None]] = []

    def get(self, partition: int, key: bytes) -> bytes | None:
        """Value of a row, or None."""
        written = self._written.get(partition)
        if written is not None and key in written:
            return written[key][1]
        return self._table.get(partition, key)[1]

    def keys_of(self, partition: int, owner: bytes) -> list[bytes]:
        """Keys of the rows that are about somebody, in order. The table's index says whom a row is about."""
        index = self._table.owned_rows
        if index is None:
            return []
        written = self._written.get(partition, {})
        keys = {key for key in self._table.keys_of(partition, owner) if key not in written}
        keys |= {k for k, (_, value) in written.items() if value is not None and owner in index.owners_of(value)}
        return sorted(keys)

    def put(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Write a row when the batch becomes durable, or delete it (None); the last of several writes counts."""
        written = self._written.setdefault(partition, {})
        before = written.get(key)
        version = self._next_version(partition, key) if before is None else before[0]
        written[key] = (version, value)
        self._undo.append((partition, key, before))

    def begin(self) -> None:
        """What is put from here on may be taken back."""
        self._undo.clear()

    def take_back(self) -> None:
        """Forget what was put since `begin`."""
        for partition, key, before in reversed(self._undo):
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
        return max(self._table.get(partition, key)[0] + 1, self._least_version)


class Batch:
    """Records of one turn of the loop, and what they lead to."""

    def __init__(
        self,
        sources: list[Admitted],
        stage: str,
        worker: Worker,
        limit: FailureLimit,
        tables: Iterable[Table],
        generation: int,
    ) -> None:
        self.sources = sources
        self._generation = generation
        self._stage = stage
        self._producer: Producer = worker.records_producer
        self._codec: Codec = worker.codec
        self._catalogue: Catalogue = worker.catalogue
        self._consumer: LosslessConsumer = worker.consumer
        self._limit = limit
        least = _least_version(generation)
        self._rows = {table.name: Rows(table, least) for table in tables}
        self._outgoing: list[tuple[str, bytes | None, bytes | None, Headers | None, int | None]] = []
        self.rejected = 0

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
    ) -> None:
        """Send a record when the batch becomes durable, or a tombstone (None).

        `topic` is the catalogue's short name; `at` is in ms; `source` is the place that the header of this name tells.
        """
        value = None if record is None else self._codec.encode(record)
        headers = None if record is None else event_headers(record, event_id, at, traceparent)
        if headers is not None and source is not None:
            headers.append(("source", source))
        self._outgoing.append((self._catalogue[topic].name, value, key, headers, partition))

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
        """Process one record: what raises here goes to the rejected topic, and the batch goes on without it."""
        sent = len(self._outgoing)
        for rows in self._rows.values():
            rows.begin()
        try:
            yield
        except CodecError as error:
            self._take_back(sent)
            self.reject(source, "not_decodable", str(error))
            self._limit.record(failed=True)
        except Exception as error:
            self._take_back(sent)
            log.exception("%s failed on %s", self._stage, _place(source))
            self.reject(source, "internal_error", f"{type(error).__name__}: {error}")
            self._limit.record(failed=True)
        else:
            self._limit.record(failed=False)

    def _take_back(self, sent: int) -> None:
        del self._outgoing[sent:]
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
    ) -> None:
        """Put a record, or one item of it (index and text), into the rejected topic with the reason."""
        record = source.record if isinstance(source, Admitted) else source
        now = time.time_ns() // 1_000_000
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
        )
        self.rejected += 1
        self.send("rejected", rejected, key=record.key, event_id=event_id, at=now)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be made durable."""
        return not self._outgoing and all(rows.is_empty for rows in self._rows.values())

    async def make_durable(self) -> None:
        """Send, await, write the tables in their order, await.

        Raises aiokafka.errors.KafkaError when Kafka does not take it, PartitionsLost when they are another's.
        """
        await self._consumer.confirm(self._generation)
        if self._outgoing:
            sent = [
                await self._producer.send(topic, value, key=key, headers=headers, partition=partition)
                for topic, value, key, headers, partition in self._outgoing
            ]
            await asyncio.gather(*sent)
        await self._consumer.confirm(self._generation)
        for rows in self._rows.values():
            await rows.write()

    def settle(self) -> None:
        """Move the offsets over this batch."""
        for source in self.sources:
            source.ledger.settle_through(source.record.offset)


async def batches(
    worker: Worker,
    inbox: Inbox,
    *,
    stage: str,
    tables: Iterable[Table] = (),
    repair: Callable[[Batch, Stale], None] = lambda batch, stale: None,
    tick: Callable[[Batch], None] | None = None,
    tick_every: float = 1.0,
) -> AsyncIterator[Batch]:
    """Batches of an inbox, for ever. A batch that cannot be made durable ends the worker: it recovers from the log.

    Rows that a worker without right to them wrote over are written again; `repair` sends what follows from such a row.
    `tick` is called about every `tick_every` seconds, whether records come or not, with a batch of its own, while
    there are partitions; what it sends and writes is made durable like everything else.
    """
    limit = FailureLimit()
    claims = _Claims(worker, inbox, stage, tuple(tables))
    rest = min(LOOK_AGAIN if claims.tables else math.inf, tick_every if tick else math.inf)
    ticked = time.monotonic()
    while True:
        sources = await inbox.take(BATCH_RECORDS, rest if rest < math.inf else None)
        try:
            stale = await claims.make(sources)
            if sources or stale:
                generation = sources[0].ledger.generation if sources else claims.generation
                batch = Batch(sources, stage, worker, limit, claims.tables, generation)
                for row in stale:
                    log.warning("%s: a row of table %s[%d] was written over; writing it again", stage, *row[:2])
                    batch.rewrite(row)
                    repair(batch, row)
                yield batch
                await batch.make_durable()
                batch.settle()
                worker.records.labels(stage, "taken").inc(len(sources))
                worker.records.labels(stage, "rejected").inc(batch.rejected)
            if tick is not None and claims.generation != NO_GENERATION and time.monotonic() - ticked >= tick_every:
                ticked = time.monotonic()
                batch = Batch([], stage, worker, limit, claims.tables, claims.generation)
                tick(batch)
                if not batch.is_empty:
                    await batch.make_durable()
                worker.records.labels(stage, "rejected").inc(batch.rejected)
        except PartitionsLost as lost:
            log.warning("%s drops a batch of %d records: %s", stage, len(sources), lost)
        except Exception as error:
            log.critical("%s stops: %s: %s", stage, type(error).__name__, error)
            await worker.crash(error)
            raise
        finally:
            inbox.done()


class _Claims:
    """Holds the partitions of some tables that belong to the assigned partitions of an inbox."""

    def __init__(self, worker: Worker, inbox: Inbox, stage: str, tables: tuple[Table, ...]) -> None:
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
        consumer: LosslessConsumer = self._worker.consumer
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
    return generation << _TIME_BITS | time.time_ns() // 1_000_000


def _place(source: Admitted) -> str:
    record = source.record
    return f"{record.topic}[{record.partition}] offset {record.offset}"
