"""A batch: some records of a stage, what follows from them, and the steps that make it durable."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from bus.clock import now_ms
from bus.ledger import Ledger
from bus.logs import about
from bus.measures import Tally
from bus.producer import Addressed, KafkaError, Producer
from bus.tables.store import StoreFailed
from bus.tables.table import Stale, Table
from bus.tables.versions import least_version, version_header
from bus.worker.consumer import LosslessConsumer
from bus.worker.context import Context
from bus.worker.inbox import Admitted, Kept
from bus.worker.rows import RECORD_OVERHEAD, Rows, TooLarge
from schemas.cloudevents import Headers
from schemas.codec import Codec, CodecError
from schemas.folder_registry import RegistryError
from schemas.ids import derived_id
from schemas.records import Record, RejectedRecord
from schemas.topics import Catalogue

if TYPE_CHECKING:
    from bus.telemetry.tracing import BatchSpans, Tracing

log = logging.getLogger(__name__)

NOT_OF_THE_RECORD = (StoreFailed, KafkaError, RegistryError, MemoryError, OSError)
"""Errors of the machine, not of the record being processed. They end the worker and leave the record unsettled."""

Step = Callable[[], Awaitable[None]]
"""Sends or writes something, and returns once it is acknowledged."""


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
        spans: BatchSpans[Admitted] | None = None,
    ) -> None:
        self.sources = sources if spans is None else spans.sources
        self.generation = generation
        self.spans = spans
        self._stage = stage
        self._producer = worker.records_producer
        self._codec = worker.codec
        self._catalogue = worker.catalogue
        least = least_version(generation, now_ms())
        self._rows = {table.name: Rows(table, generation, least) for table in tables}
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
        if self.spans is not None and isinstance(source, Admitted):
            self.spans.rejected(source, reason)
        context = Context(event_id, now)
        try:
            self.send("rejected", rejected, context, key=record.key)
        except TooLarge:
            # Only its position is given; the record stays available for the retention of its own topic.
            rejected = replace(rejected, source_value=None, item=None)
            self.send("rejected", rejected, context, key=None)

    def decide(self) -> None:
        """Finish processing: later batches see this one's rows, although they are not written yet."""
        for rows in self._rows.values():
            rows.decide()

    def steps(self) -> list[Step | None]:
        """Return what makes the batch durable, one after the other: send the records, then write each table.

        None stands for a step with nothing to do, so that all batches of a stage have the same number of steps.
        """
        send = partial(self._producer.send_all, self._outgoing, self.generation) if self._outgoing else None
        return [send, *(None if rows.is_empty else rows.write for rows in self._rows.values())]

    def settle(self) -> None:
        """Move the offsets past this durable batch. Raises SkippedOffsets if an earlier one has not settled."""
        runs: dict[Ledger, tuple[int, int]] = {}
        for ledger, record, _ in self.sources:
            first, _ = runs.get(ledger, (record.offset, 0))
            runs[ledger] = first, record.offset
        for ledger, (first, last) in runs.items():
            ledger.settle_run(first, last)
        if self.spans is not None:
            self.spans.end()


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
