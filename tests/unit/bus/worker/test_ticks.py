"""A stage's loop does timed work and takes over its partitions even if no record arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from bus.memory import CODEC, MemoryKafka, ledger
from bus.tables.table import Table
from bus.worker.batch import Batch
from bus.worker.batches import batches
from bus.worker.context import Context
from bus.worker.inbox import Inbox
from schemas.records import ContactState

STATE = ContactState(
    contact="c", account="a", list_number="l", phone_number="p", active=False, failures=0, reason="manual", since=1,
    last_event_id="e",
)  # fmt: skip


class Loop:
    """A stage over one table with a tick, run until `until` has happened."""

    def __init__(self, kafka: MemoryKafka, tick: Callable[[Batch], None]) -> None:
        self.kafka = kafka
        self.inbox = Inbox(["any"])
        self.table = kafka.table("t")
        self._tick = tick

    async def run(self, until: Callable[[], bool]) -> None:
        worker: Any = self.kafka
        taken = batches(worker, self.inbox, stage="s", tables=[self.table], tick=self._tick, tick_every=0.001)
        task = asyncio.ensure_future(anext(taken))
        while not until() and not task.done():
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises((asyncio.CancelledError, StopAsyncIteration)):
            await task


def assigned(*partitions: int) -> MemoryKafka:
    kafka = MemoryKafka()
    for partition in partitions:
        book = ledger(partition)
        kafka.ledgers[book.tp] = book
    return kafka


async def test_ticks_come_without_records() -> None:
    ticks: list[Batch] = []
    await Loop(assigned(0), ticks.append).run(until=lambda: len(ticks) >= 3)
    assert all(batch.sources == [] for batch in ticks)


async def test_what_a_tick_sends_and_writes_is_durable() -> None:
    kafka = assigned(0)

    def tick(batch: Batch) -> None:
        if loop.table.get(0, b"row")[1] is None:
            batch.send("contacts", STATE, Context("e", 1), key=b"c")
            batch.rows(loop.table).put(0, b"row", b"written")

    loop = Loop(kafka, tick)
    await loop.run(until=lambda: bool(kafka.logs["changelog-t", 0]))
    assert [CODEC.decode(record.value) for record in kafka.logs["sms.contacts", 0]] == [STATE]
    again: Table = kafka.table("t")
    await again.claim([ledger()])
    assert again.get(0, b"row")[1] == b"written"


async def test_there_is_no_tick_without_partitions() -> None:
    kafka = assigned()
    ticks: list[Batch] = []
    loop = Loop(kafka, ticks.append)
    turns = iter(range(50))
    await loop.run(until=lambda: next(turns, None) is None)
    assert ticks == []


async def test_all_partitions_that_are_assigned_are_taken_over_before_a_record_comes() -> None:
    kafka = assigned(0, 1)
    loop = Loop(kafka, lambda batch: None)
    await loop.run(until=lambda: kafka.claimed.get("s") == 1)
    assert [loop.table.get(partition, b"row") for partition in (0, 1)] == [(0, None)] * 2
