"""The batches of one stage on their way to become durable.

A batch is sent in steps: its events, then the rows of one table after the other, each acknowledged before the next. If
each batch waited for the one before it, a record would wait for all of these acknowledgments before it is even looked
at. So a batch is processed while earlier ones are still on their way, on top of the rows that those have decided
(`bus.tables.in_flight`), and all of them take their next steps together, in the same requests to Kafka.

What a crash leaves behind is the same as with one batch at a time, only of a few more records: events that are sent
again, with the same ids, because offsets move only past batches whose steps are all acknowledged, in order. No table is
written by a batch before, or at the same time as, by an earlier one: the steps are the same for all batches.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from bus.errors import PartitionsLost
from bus.tables.table import Table
from bus.worker.batch import Batch, BatchWorker, Step

log = logging.getLogger(__name__)


class Place(NamedTuple):
    """A batch in the line, and its remaining steps."""

    batch: Batch
    steps: deque[Step | None]


async def _together(steps: Iterable[Step]) -> None:
    """Take steps at the same time. Raises PartitionsLost once all of them have ended, another error at once."""
    taken = [asyncio.ensure_future(step()) for step in steps]
    try:
        await asyncio.gather(*taken)
    except PartitionsLost:
        # What is written later would be written amid what is done in the next generation.
        await asyncio.gather(*taken, return_exceptions=True)
        raise


class Line:
    """The batches of a stage that are processed and not settled yet, oldest first; all of one group generation."""

    def __init__(self, worker: BatchWorker, stage: str, tables: Iterable[Table]) -> None:
        self._worker = worker
        self._stage = stage
        self._tables = tuple(tables)
        self._places: deque[Place] = deque()

    def __len__(self) -> int:
        return len(self._places)

    def add(self, batch: Batch) -> None:
        """Let a processed batch enter."""
        batch.decide()
        self._places.append(Place(batch, deque(batch.steps())))

    async def advance(self) -> None:
        """Take every batch one step further, and settle those that are durable.

        If the partitions have moved, all batches are dropped: the new owner repeats them. Raises
        aiokafka.errors.KafkaError if Kafka rejects something; then nothing more may be processed.
        """
        steps = [step for place in self._places if place.steps and (step := place.steps.popleft()) is not None]
        if steps:
            try:
                await self._worker.consumer.confirm(self._places[0].batch.generation)
                await _together(steps)
            except PartitionsLost as lost:
                records = sum(len(place.batch.sources) for place in self._places)
                log.warning("%s drops batches of %d records: %s", self._stage, records, lost)
                self.close()
                return
        while self._places and not any(self._places[0].steps):
            batch = self._places.popleft().batch
            batch.settle()
            self._worker.records.add(self._stage, "taken", by=len(batch.sources))
            self._worker.count_results(self._stage, batch)

    async def finish(self) -> None:
        """Take every batch to its end."""
        while self._places:
            await self.advance()

    def close(self) -> None:
        """Drop all batches."""
        for batch, _ in self._places:
            if batch.spans is not None:
                batch.spans.end("not_durable")
        self._places.clear()
        for table in self._tables:
            table.in_flight.clear()
