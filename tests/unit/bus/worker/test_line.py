"""A batch is processed while earlier ones are on their way, and the order of their effects stays what it was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import PartitionsLost
from bus.ledger import Ledger, TopicPartition
from bus.memory import CATALOGUE, MemoryKafka, Record
from bus.tables.versions import unpack
from bus.worker.batches import Batch, batches
from bus.worker.context import Context
from bus.worker.inbox import Inbox
from schemas.records import ContactState

TOPIC = TopicPartition("inputs", 0)
EVENTS = CATALOGUE["contacts"].name
ROWS, MORE_ROWS = "changelog-first", "changelog-second"


class SlowKafka(MemoryKafka):
    """A Kafka that stores and acknowledges when the test says so. `requests` wait for that, with their topics; `order`
    has the topics and numbers of acknowledged records."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[tuple[str, asyncio.Future[None]]] = []
        self.order: list[tuple[str, int]] = []
        self.lost = False

    @property
    def waiting_for(self) -> set[str]:
        return {topic for topic, _ in self.requests}

    def answer(self, topic: str | None = None, error: Exception | None = None) -> None:
        """Acknowledge what is written to a topic, or to all; or reject it."""
        for name, request in list(self.requests):
            if topic in (None, name):
                self.requests.remove((name, request))
                if error is None:
                    request.set_result(None)
                else:
                    request.set_exception(error)

    async def send_batch(self, topic: str, partition: int, records: Any, generation: int | None = None) -> int:
        sent = list(records)
        await self._answered(topic)
        self.order += [(topic, int(unpack(record.value)[1] or b"")) for record in sent]
        return await super().send_batch(topic, partition, sent)

    async def send_all(self, records: Any, generation: int | None = None) -> None:
        sent = list(records)
        await self._answered(EVENTS)
        self.order += [(EVENTS, int(record.key)) for record in sent]
        await super().send_all(sent)

    async def _answered(self, topic: str) -> None:
        request: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.requests.append((topic, request))
        await request

    async def confirm(self, generation: int) -> None:
        if self.lost:
            raise PartitionsLost("the group has moved on")


class Stage:
    """A stage with two tables. Each record sends an event, and writes its number into a row of each table."""

    def __init__(self, *, tick: Callable[[Batch], None] | None = None) -> None:
        self.kafka = SlowKafka()
        self.ledger = Ledger(TOPIC, 0, generation=1)
        self.kafka.ledgers[TOPIC] = self.ledger
        self.inbox = Inbox([TOPIC.topic])
        self.tables = [self.kafka.table("first"), self.kafka.table("second")]
        self.before: list[bytes | None] = []
        """The first table's row, as each record saw it."""
        self._tick = tick

    def put(self) -> None:
        """Let a record arrive. Its number is its offset."""
        offset = self.ledger.expected
        self.ledger.expected += 1
        self.inbox.put(self.ledger, [Record(*TOPIC, offset, b"key", b"value")])

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        """Run the stage, and end it at the end of the block."""

        async def run() -> None:
            worker: Any = self.kafka
            loop = batches(worker, self.inbox, stage="s", tables=self.tables, tick=self._tick, tick_every=0.001)
            async with aclosing(loop) as taken:
                async for batch in taken:
                    for source in batch:
                        self._process(batch, source.record.offset)

        task = asyncio.create_task(run())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])

    def _process(self, batch: Batch, number: int) -> None:
        name = b"%d" % number
        self.before.append(batch.rows(self.tables[0]).get(0, b"row"))
        batch.send("contacts", state(number), Context("e", 1), key=name)
        for table in self.tables:
            batch.rows(table).put(0, b"row", name)

    async def put_until(self, requests: int) -> None:
        """Let a record arrive, and go on until so many requests wait."""
        self.put()
        await until(lambda: len(self.kafka.requests) == requests)

    async def put_two(self) -> None:
        """Let two records arrive, of which the first one's rows and the second one's event wait."""
        await self.put_until(1)
        self.put()
        self.kafka.answer()
        await until(lambda: len(self.kafka.requests) == 2)


def state(number: int) -> ContactState:
    return ContactState(
        contact="c", account="a", list_number="l", phone_number="p", active=False, failures=0, reason="manual",
        since=1, last_event_id=f"e{number}",
    )  # fmt: skip


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not happened():
            await asyncio.sleep(0)


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_record_is_processed_while_rows_of_earlier_ones_are_written_and_sees_them() -> None:
    stage = Stage()
    async with stage.running():
        await stage.put_two()
        assert (stage.before, stage.kafka.waiting_for) == ([None, b"0"], {ROWS, EVENTS})
        assert stage.ledger.durable == 0


async def test_batches_take_their_steps_together() -> None:
    stage = Stage()
    async with stage.running():
        await stage.put_until(1)
        for opened in ({ROWS, EVENTS}, {MORE_ROWS, ROWS, EVENTS}):
            stage.put()
            stage.kafka.answer()
            await until(lambda opened=opened: len(stage.kafka.requests) == len(opened))  # type: ignore[misc]
            assert stage.kafka.waiting_for == opened


async def test_no_step_begins_before_the_one_before_it_is_acknowledged() -> None:
    stage = Stage()
    async with stage.running():
        await stage.put_two()
        stage.kafka.answer(ROWS)
        await turns()
        assert stage.kafka.waiting_for == {EVENTS}


async def test_what_arrives_in_the_middle_of_a_step_waits_for_its_end() -> None:
    stage = Stage()
    async with stage.running():
        await stage.put_until(1)
        stage.put()
        await turns()
        assert (len(stage.before), stage.kafka.waiting_for) == (1, {EVENTS})


@given(st.lists(st.sampled_from(["arrives", "answered", "turns"]), max_size=40))
def test_effects_are_in_order_whatever_arrives_and_is_acknowledged_when(happens: list[str]) -> None:
    async def run() -> None:
        stage = Stage()
        async with stage.running():
            for each in happens:
                match each:
                    case "arrives":
                        stage.put()
                    case "answered":
                        stage.kafka.answer()
                    case _:
                        await turns(3)
                acknowledged = {topic: _last(stage.kafka.order, topic) for topic in (EVENTS, ROWS, MORE_ROWS)}
                assert acknowledged[EVENTS] >= acknowledged[ROWS] >= acknowledged[MORE_ROWS]
                assert stage.ledger.durable <= acknowledged[MORE_ROWS] + 1
            while stage.ledger.durable < stage.ledger.expected:
                stage.kafka.answer()
                await asyncio.sleep(0)
        events = [number for topic, number in stage.kafka.order if topic == EVENTS]
        assert events == list(range(happens.count("arrives")))
        for topic in (ROWS, MORE_ROWS):
            rows = [number for name, number in stage.kafka.order if name == topic]
            assert all(one < other for one, other in pairwise(rows))
            assert rows[-1:] == events[-1:]
        assert stage.before == [None, *(b"%d" % number for number in events[:-1])][: len(events)]

    asyncio.run(run())


def _last(order: list[tuple[str, int]], topic: str) -> int:
    return max((number for name, number in order if name == topic), default=-1)


@pytest.mark.parametrize("refused", [EVENTS, ROWS])
async def test_a_refused_step_ends_the_stage_with_all_of_its_batches_unsettled(refused: str) -> None:
    stage = Stage()
    async with stage.running() as task:
        await stage.put_two()
        stage.kafka.answer(refused, KafkaConnectionError())
        stage.kafka.answer()
        await asyncio.wait([task], timeout=5)
        assert isinstance(task.exception(), KafkaConnectionError)
        assert stage.ledger.durable == 0
    assert stage.tables[0].get(0, b"row")[1] in (None, b"0")


async def test_lost_partitions_drop_all_batches_with_what_they_had_decided() -> None:
    stage = Stage()
    async with stage.running():
        await stage.put_until(1)
        stage.put()
        stage.kafka.lost = True
        stage.kafka.answer()
        await until(lambda: len(stage.before) == 2)
        await turns()
        assert (stage.kafka.requests, stage.ledger.durable) == ([], 0)
        assert stage.tables[0].get(0, b"row") == (0, None)
        assert await stage.inbox.wait_idle(0.1)


async def test_partitions_lost_amid_a_step_drop_all_batches_once_nothing_of_them_is_on_its_way() -> None:
    stage = Stage()
    async with stage.running():
        await stage.put_two()
        stage.kafka.lost = True
        stage.kafka.answer(EVENTS, PartitionsLost("the group has moved on"))
        await turns()
        assert stage.kafka.waiting_for == {ROWS}
        assert not await stage.inbox.wait_idle(0.0)
        stage.kafka.answer(ROWS, PartitionsLost("the group has moved on"))
        assert await stage.inbox.wait_idle(1.0)
        assert (stage.kafka.requests, stage.ledger.durable) == ([], 0)
        assert stage.tables[0].get(0, b"row") == (0, None)


async def test_a_new_assignment_is_claimed_once_everything_is_written() -> None:
    stage = Stage()
    async with stage.running():
        await stage.put_until(1)
        stage.ledger.revoked = True
        stage.ledger = stage.kafka.ledgers[TOPIC] = Ledger(TOPIC, 1, generation=2)
        stage.put()
        for opened in (ROWS, MORE_ROWS, EVENTS):
            stage.kafka.answer()
            await until(lambda opened=opened: stage.kafka.waiting_for == {opened})  # type: ignore[misc]
        assert stage.before == [None, b"0"]


async def test_a_stage_is_busy_until_its_last_batch_is_durable() -> None:
    stage = Stage()
    async with stage.running():
        await stage.put_until(1)
        for waits in (ROWS, MORE_ROWS):
            assert not await stage.inbox.wait_idle(0.01)
            stage.kafka.answer()
            await until(lambda waits=waits: stage.kafka.waiting_for == {waits})  # type: ignore[misc]
        stage.kafka.answer()
        assert await stage.inbox.wait_idle(5)
        assert stage.ledger.durable == 1


async def test_a_tick_comes_when_everything_is_written() -> None:
    stored: list[bytes | None] = []
    stage = Stage(tick=lambda batch: stored.append(stage.tables[1].get(0, b"row")[1]))
    async with stage.running():
        await stage.put_until(1)
        stored.clear()
        while stage.kafka.requests:
            await asyncio.sleep(0.002)
            stage.kafka.answer()
            await turns()
        await until(lambda: bool(stored))
        assert stored[0] == b"0"
    assert not any(stage.tables[1].in_flight.of(0))
