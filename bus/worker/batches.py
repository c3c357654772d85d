"""An agent's batch loop: take admitted records, process them, make the results durable, and only then move the offsets.

    async for batch in batches(worker, inbox, stage="normalize"):
        for source in batch:
            with batch.attempt(source):
                ...

Of a batch, records are sent and acknowledged first, then table rows are written and acknowledged, and then the offsets
move. A crash between two steps repeats work that produces the same ids; nothing is lost. The next batch is processed
meanwhile (`bus.worker.line`).

Work triggered by time instead of a record belongs to a tick: a batch without records.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import closing

from bus.ledger import Ledger, TopicPartition
from bus.producer import KafkaError
from bus.tables.table import Stale, Table
from bus.worker.batch import Batch, BatchWorker
from bus.worker.inbox import Admitted, Inbox
from bus.worker.line import Line

log = logging.getLogger(__name__)

BATCH_RECORDS = 500
"""Records per batch: many enough to share an acknowledgment, few enough to keep a replay short."""

LOOK_AGAIN = 10.0
"""Seconds between checks of the changelogs for foreign writes; also how long a loop with tables waits for a record."""

NO_GENERATION = -1
"""Stands for the group generation while there are no partitions."""


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
    line = Line(worker, stage, claims.tables)
    rest = min(LOOK_AGAIN if claims.tables else math.inf, tick_every if tick else math.inf)
    ticked = time.monotonic()
    with closing(claims), closing(line):
        while True:
            if line:
                sources = inbox.take_arrived(BATCH_RECORDS)
            else:
                sources = await inbox.take(BATCH_RECORDS, rest if rest < math.inf else None)
            spans = None if worker.tracing is None else worker.tracing.begin(stage, sources)
            try:
                if claims.are_due(sources):
                    await line.finish()
                stale = await claims.make(sources)
                if sources or stale:
                    generation = sources[0].ledger.generation if sources else claims.generation
                    batch = Batch(sources, stage, worker, claims.tables, generation, spans)
                    for row in stale:
                        log.warning("%s: a row of table %s[%d] was overwritten; rewriting it", stage, *row[:2])
                        batch.rewrite(row)
                        repair(batch, row)
                    yield batch
                    limit.judge(len(sources), batch.failed)
                    line.add(batch)
                    spans = None
                await line.advance()
                if tick is not None and claims.generation != NO_GENERATION and time.monotonic() - ticked >= tick_every:
                    await line.finish()
                    ticked = time.monotonic()
                    batch = Batch([], stage, worker, claims.tables, claims.generation)
                    tick(batch)
                    line.add(batch)
                    await line.finish()
            finally:
                if spans is not None:
                    spans.end("not_durable")
                if not line:
                    inbox.done()


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

    def are_due(self, sources: Iterable[Admitted]) -> bool:
        """Whether `make` may read a changelog. Everything in flight must be written before."""
        if not self.tables:
            return False
        ledgers = {source.ledger for source in sources}
        return (
            self._current() != self.generation
            or (self._asking is not None and self._asking.done())
            or any(table.lacks(ledgers) for table in self.tables)
        )

    def _ledgers(self) -> Iterator[Ledger]:
        consumer = self._worker.consumer
        return (ledger for tp, ledger in consumer.ledgers.items() if tp.topic in self._inbox.topics)

    def _current(self) -> int:
        return next((ledger.generation for ledger in self._ledgers()), NO_GENERATION)

    async def make(self, sources: Iterable[Admitted]) -> list[Stale]:
        """Claim partitions assigned since the last call, and those these records need. Returns overwritten rows."""
        stale: list[Stale] = []
        generation = self._current()
        if generation != self.generation:
            ledgers = list(self._ledgers())
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
