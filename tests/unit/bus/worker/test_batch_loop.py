"""Work that leaves the batch loop by an exception has settled nothing, and nothing later settles past it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from bus.ledger import Ledger, SkippedOffsets, TopicPartition
from bus.memory import MemoryKafka, Record
from bus.tables.store import Store, StoreFailed
from bus.worker.batches import Batch, TooManyFailures, batches
from bus.worker.inbox import Admitted, Inbox
from schemas.codec import CodecError
from schemas.folder_registry import RegistryError

TOPIC = TopicPartition("inputs", 0)


class Stage:
    """One partition, its inbox, and a loop that can be restarted after it has ended."""

    def __init__(self) -> None:
        self.kafka = MemoryKafka()
        self.ledger = Ledger(TOPIC, 0, generation=1)
        self.inbox = Inbox([TOPIC.topic])

    def put(self, values: Iterable[bytes]) -> None:
        records = [Record(*TOPIC, self.ledger.expected + n, b"key", value) for n, value in enumerate(values)]
        self.ledger.expected += len(records)
        self.inbox.put(self.ledger, records)

    async def run(self, process: Callable[[Batch, Admitted], None]) -> None:
        """Process records for ever."""
        worker: Any = self.kafka
        async for batch in batches(worker, self.inbox, stage="stage"):
            for source in batch:
                with batch.attempt(source):
                    process(batch, source)

    async def run_through(self, process: Callable[[Batch, Admitted], None]) -> None:
        """Process what is in the inbox."""
        task = asyncio.ensure_future(self.run(process))
        while not task.done() and self.ledger.in_flight:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    @property
    def rejected(self) -> int:
        return len(self.kafka.logs["sms.rejected", 0])


def fail_on_bad(batch: Batch, source: Admitted) -> None:
    if source.record.value == b"bad":
        raise CodecError("does not read")


async def test_a_run_of_bad_records_is_rejected_and_the_others_of_its_batch_are_settled() -> None:
    stage = Stage()
    stage.put([b"good"] * 99 + [b"bad"] * 150 + [b"good"] * 451)
    await stage.run_through(fail_on_bad)
    assert (stage.rejected, stage.ledger.durable) == (150, 700)


async def test_a_batch_that_is_mostly_bad_ends_the_loop_with_its_offsets_where_they_were() -> None:
    stage = Stage()
    stage.put([b"good"] * 100 + [b"bad"] * 300)
    with pytest.raises(TooManyFailures):
        await stage.run(fail_on_bad)
    assert (stage.rejected, stage.ledger.durable) == (0, 0)


async def test_junk_can_be_let_through_to_the_rejected_topic() -> None:
    stage = Stage()
    stage.kafka.failure_ratio = 1.0
    stage.put([b"bad"] * 400)
    await stage.run_through(fail_on_bad)
    assert (stage.rejected, stage.ledger.durable) == (400, 400)


@pytest.mark.parametrize(
    "error",
    [
        StoreFailed("table contacts[0] cannot be read: Corruption"),
        KafkaConnectionError(),
        RegistryError("does not answer"),
        MemoryError(),
        OSError("No space left on device"),
        asyncio.CancelledError(),
        SystemExit(3),
    ],
)
async def test_an_error_of_the_machine_ends_the_loop_and_rejects_nothing(error: BaseException) -> None:
    stage = Stage()
    stage.put([b"good", b"good"])

    def process(batch: Batch, source: Admitted) -> None:
        if source.record.offset == 1:
            raise error

    with pytest.raises(type(error)):
        await stage.run(process)
    assert (stage.rejected, stage.ledger.durable) == (0, 0)


async def test_a_loop_that_is_started_again_does_not_settle_over_what_was_abandoned() -> None:
    stage = Stage()
    stage.put([b"first"])
    stage.kafka.refusing = {"sms.rejected"}

    def reject(batch: Batch, source: Admitted) -> None:
        raise CodecError("does not read")

    with pytest.raises(KafkaConnectionError):
        await stage.run(reject)
    stage.kafka.refusing = set()
    stage.put([b"second"])
    with pytest.raises(SkippedOffsets, match=r"inputs\[0\]: offsets 1 to 1 are done, but 0 is not"):
        await stage.run(lambda batch, source: None)
    assert stage.ledger.durable == 0


async def test_a_store_that_fails_behind_its_changelog_ends_the_loop_and_the_row_is_there_after_a_restart() -> None:
    stage = Stage()
    stores: dict[int, Store] = {}
    table = stage.kafka.table("t", stores)
    stage.kafka.ledgers[stage.ledger.tp] = stage.ledger
    await table.claim([stage.ledger])

    def fail(rows: object, offset: int | None) -> None:
        raise StoreFailed("IO error: No space left on device")

    stores[0].write = fail  # type: ignore[method-assign,assignment]
    stage.put([b"good"])
    worker: Any = stage.kafka
    taken = batches(worker, stage.inbox, stage="stage", tables=[table])
    batch = await anext(taken)
    batch.rows(table).put(0, b"row", b"written")
    with pytest.raises(StoreFailed):
        await anext(taken)
    assert stage.ledger.durable == 0
    again = stage.kafka.table("t", {})
    await again.claim([stage.ledger])
    assert again.get(0, b"row")[1] == b"written"
