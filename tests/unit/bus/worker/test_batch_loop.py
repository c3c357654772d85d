"""Work that leaves the batch loop by an exception has settled nothing, and nothing later settles past it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from bus.ledger import Ledger, SkippedOffsets, TopicPartition
from bus.memory import MemoryKafka, Record
from bus.tables.store import Store, StoreFailed
from bus.tables.table import Stale
from bus.tables.versions import pack, unpack
from bus.worker.batch import Batch
from bus.worker.batches import TooManyFailures, batches
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
        while not task.done() and self.ledger.durable < self.ledger.expected:
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


class StageWithATable(Stage):
    """A stage whose table is claimed, and that looks for foreign writes in every turn; `asked` are its questions."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        monkeypatch.setattr("bus.worker.batches.LOOK_AGAIN", 0.0)
        monkeypatch.setattr(self.kafka, "end_offsets", self._end_offsets)
        self.kafka.ledgers[self.ledger.tp] = self.ledger
        self.table = self.kafka.table("t")
        self.asked: list[asyncio.Future[dict[TopicPartition, int]]] = []
        self.rewritten: list[bytes] = []

    @property
    def changelog(self) -> list[bytes | None]:
        return [row and unpack(row)[1] for row in (record.value for record in self.kafka.logs["changelog-t", 0])]

    async def _end_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        assert tps == [TopicPartition("changelog-t", 0)]
        self.asked.append(asyncio.get_running_loop().create_future())
        return await self.asked[-1]

    def answer(self, end: int) -> None:
        self.asked[-1].set_result({TopicPartition("changelog-t", 0): end})

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Callable[[bytes], Awaitable[None]]]:
        """Run the stage, which writes each record's value to a row; yields what waits until one is settled."""

        async def run() -> None:
            worker: Any = self.kafka
            loop = batches(worker, self.inbox, stage="stage", tables=[self.table], repair=self._repair)
            async with aclosing(loop) as taken:
                async for batch in taken:
                    for source in batch:
                        batch.rows(self.table).put(0, b"row", source.record.value)

        async def pass_through(value: bytes) -> None:
            self.put([value])
            async with asyncio.timeout(5):
                while self.ledger.durable < self.ledger.expected and not task.done():
                    await asyncio.sleep(0)

        task = asyncio.create_task(run())
        yield pass_through
        task.cancel()
        await asyncio.wait([task])

    def _repair(self, _: Batch, stale: Stale) -> None:
        self.rewritten.append(stale.key)

    def write_over(self) -> int:
        """Write an old version of the row as a worker that has lost the partition; returns where the log ends."""
        log = self.kafka.logs["changelog-t", 0]
        log.append(Record("changelog-t", 0, len(log), b"row", pack(1, b"of another")))
        return len(log)


async def test_records_go_on_while_kafka_is_slow_to_say_where_the_changelogs_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = StageWithATable(monkeypatch)
    async with stage.running() as pass_through:
        for value in (b"first", b"second", b"third"):
            await pass_through(value)
        assert (stage.changelog, len(stage.asked)) == ([b"first", b"second", b"third"], 1)


async def test_what_the_worker_has_written_since_it_asked_is_not_foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = StageWithATable(monkeypatch)
    async with stage.running() as pass_through:
        await pass_through(b"first")
        await pass_through(b"second")
        stage.answer(0)
        await pass_through(b"third")
        assert (stage.changelog, stage.rewritten) == ([b"first", b"second", b"third"], [])


async def test_a_row_that_somebody_else_wrote_over_is_written_again_once_kafka_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = StageWithATable(monkeypatch)
    async with stage.running() as pass_through:
        await pass_through(b"first")
        stage.answer(stage.write_over())
        async with asyncio.timeout(5):
            while not stage.rewritten:
                await asyncio.sleep(0)
        await pass_through(b"second")
        assert stage.changelog == [b"first", b"of another", b"first", b"second"]


async def test_an_answer_that_does_not_come_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = StageWithATable(monkeypatch)
    async with stage.running() as pass_through:
        await pass_through(b"first")
        stage.asked[-1].set_exception(KafkaConnectionError())
        await pass_through(b"second")
        await pass_through(b"third")
        assert (stage.changelog, len(stage.asked)) == ([b"first", b"second", b"third"], 2)


async def test_a_stage_that_ends_asks_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = StageWithATable(monkeypatch)
    async with stage.running() as pass_through:
        await pass_through(b"first")
    await asyncio.sleep(0)
    assert stage.asked[-1].cancelled()
