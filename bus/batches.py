"""The batch loop of an agent: take admitted records, do the work, make it durable, only then move the offsets.

    async for batch in batches(worker, inbox, stage="normalize"):
        for source in batch:
            with batch.attempt(source):
                ...

Order of effects in a batch: records are sent and acknowledged, then table rows are written and acknowledged,
then the offsets move. A crash between two steps repeats work that gives the same ids; nothing is lost.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bus.inbox import Admitted, Inbox
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
    """Rows of one table as a batch sees them: the table's, with the batch's own writes on top."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._written: dict[int, dict[bytes, tuple[int, bytes | None]]] = {}

    def get(self, partition: int, key: bytes) -> bytes | None:
        """Value of a row, or None."""
        written = self._written.get(partition)
        if written is not None and key in written:
            return written[key][1]
        return self._table.get(partition, key)[1]

    def put(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Write a row when the batch becomes durable, or delete it (None); the last of several writes counts."""
        written = self._written.setdefault(partition, {})
        version = written[key][0] if key in written else self._table.get(partition, key)[0] + 1
        written[key] = (version, value)

    async def write(self) -> None:
        """Write everything to the table."""
        await asyncio.gather(*(self._table.write(p, rows) for p, rows in self._written.items()))


class Batch:
    """Records of one turn of the loop, and what they lead to."""

    def __init__(
        self,
        sources: list[Admitted],
        stage: str,
        worker: Worker,
        limit: FailureLimit,
        tables: Iterable[Table],
    ) -> None:
        self.sources = sources
        self._generation = sources[0].ledger.generation if sources else worker.consumer_generation_id
        self._stage = stage
        self._producer: Producer = worker.records_producer
        self._codec: Codec = worker.codec
        self._catalogue: Catalogue = worker.catalogue
        self._consumer: LosslessConsumer = worker.consumer
        self._limit = limit
        self._rows = {table.name: Rows(table) for table in tables}
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
    ) -> None:
        """Send a record when the batch becomes durable, or a tombstone (None).

        `topic` is the catalogue's short name; `at` is in ms.
        """
        value = None if record is None else self._codec.encode(record)
        headers = None if record is None else event_headers(record, event_id, at, traceparent)
        self._outgoing.append((self._catalogue[topic].name, value, key, headers, partition))

    def rewrite(self, stale: Stale) -> None:
        """Write a row again that was written over in the changelog."""
        self._rows[stale.table].put(stale.partition, stale.key, stale.value)

    @contextmanager
    def attempt(self, source: Admitted) -> Iterator[None]:
        """Process one record: what raises here goes to the rejected topic, and the batch goes on."""
        sent = len(self._outgoing)
        try:
            yield
        except CodecError as error:
            del self._outgoing[sent:]
            self.reject(source, "not_decodable", str(error))
            self._limit.record(failed=True)
        except Exception as error:
            del self._outgoing[sent:]
            log.exception("%s failed on %s", self._stage, _place(source))
            self.reject(source, "internal_error", f"{type(error).__name__}: {error}")
            self._limit.record(failed=True)
        else:
            self._limit.record(failed=False)

    def reject(
        self,
        source: Admitted,
        reason: str,
        error: str,
        *,
        account: str | None = None,
        provider: str | None = None,
        item: tuple[int, str] | None = None,
    ) -> None:
        """Put a record, or one item of it (index and text), into the rejected topic with the reason."""
        record = source.record
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

    async def make_durable(self) -> None:
        """Send, await, write the tables, await.

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
) -> AsyncIterator[Batch]:
    """Batches of an inbox, for ever. A batch that cannot be made durable ends the worker: it recovers from the log.

    Rows that a worker without right to them wrote over are written again; `repair` sends what follows from such a row.
    """
    limit = FailureLimit()
    tables = tuple(tables)
    looked = time.monotonic()
    while True:
        sources = await inbox.take(BATCH_RECORDS, LOOK_AGAIN if tables else None)
        try:
            stale = [row for table in tables for row in await table.claim(source.ledger for source in sources)]
            if time.monotonic() - looked >= LOOK_AGAIN:
                looked = time.monotonic()
                stale += [row for table in tables for row in await table.look_again(worker.consumer.end_offsets)]
            if not sources and not stale:
                continue
            batch = Batch(sources, stage, worker, limit, tables)
            for row in stale:
                log.warning("%s: a row of table %s[%d] was written over; writing it again", stage, *row[:2])
                batch.rewrite(row)
                repair(batch, row)
            yield batch
            await batch.make_durable()
            batch.settle()
            worker.records.labels(stage, "taken").inc(len(sources))
            worker.records.labels(stage, "rejected").inc(batch.rejected)
        except PartitionsLost as lost:
            log.warning("%s drops a batch of %d records: %s", stage, len(sources), lost)
        except Exception as error:
            log.critical("%s stops: %s: %s", stage, type(error).__name__, error)
            await worker.crash(error)
            raise
        finally:
            inbox.done()


def _place(source: Admitted) -> str:
    record = source.record
    return f"{record.topic}[{record.partition}] offset {record.offset}"
