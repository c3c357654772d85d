"""The inbox is bounded, fair between partitions, and keeps the order within one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import uvloop

from bus.ledger import Ledger, TopicPartition
from bus.worker.inbox import Inbox


@dataclass
class Record:
    offset: int
    value: bytes = b"x"
    timestamp: int = 0
    headers: tuple[tuple[str, bytes], ...] = field(default=())


def book(partition: int, topic: str = "t") -> Ledger:
    return Ledger(TopicPartition(topic, partition), 0, generation=1)


def records(count: int) -> list[Record]:
    return [Record(offset) for offset in range(count)]


async def test_records_of_a_partition_come_out_in_order() -> None:
    inbox = Inbox(["t"])
    inbox.put(book(0), records(5))
    taken = await inbox.take(3) + await inbox.take(3)
    assert [a.record.offset for a in taken] == [0, 1, 2, 3, 4]


async def test_a_long_backlog_leaves_room_for_other_partitions() -> None:
    inbox = Inbox(["t"])
    inbox.put(book(0), records(1_000))
    inbox.put(book(1), records(2))
    taken = await inbox.take(100)
    assert sum(a.ledger.tp.partition == 1 for a in taken) == 2
    assert len(taken) <= 100


async def test_a_partition_with_a_full_backlog_is_not_wanted_and_others_are() -> None:
    inbox = Inbox(["t"], max_records=10)
    inbox.put(book(0), records(10))
    assert not inbox.wants(TopicPartition("t", 0))
    assert inbox.wants(TopicPartition("t", 1))


async def test_bytes_bound_the_backlog_too() -> None:
    inbox = Inbox(["t"], max_bytes=1_000)
    inbox.put(book(0), [Record(0, b"x" * 1_000)])
    assert not inbox.wants(TopicPartition("t", 0))
    await inbox.take(1)
    assert inbox.wants(TopicPartition("t", 0))


async def test_take_waits_for_the_first_record() -> None:
    inbox = Inbox(["t"])
    waiting = asyncio.create_task(inbox.take(10))
    await asyncio.sleep(0)
    assert not waiting.done()
    inbox.put(book(0), records(1))
    assert len(await waiting) == 1


async def test_the_inbox_is_busy_from_take_to_done() -> None:
    inbox = Inbox(["t"])
    assert await inbox.wait_idle(0.01)
    inbox.put(book(0), records(1))
    await inbox.take(1)
    assert not await inbox.wait_idle(0.01)
    inbox.done()
    assert await inbox.wait_idle(0.01)


async def test_a_cleared_inbox_gives_nothing_more() -> None:
    inbox = Inbox(["t"])
    inbox.put(book(0), records(5))
    inbox.clear()
    assert len(inbox) == 0
    assert inbox.wants(TopicPartition("t", 0))


async def test_the_trace_of_a_record_is_read_from_its_headers() -> None:
    inbox = Inbox(["t"])
    inbox.put(book(0), [Record(0, headers=(("traceparent", b"00-abc"),)), Record(1)])
    assert [a.traceparent for a in await inbox.take(2)] == [b"00-abc", None]


async def test_of_several_topics_what_was_written_earlier_comes_first() -> None:
    inbox = Inbox(["t", "u"])
    inbox.put(book(0, "u"), [Record(0, timestamp=30)])
    inbox.put(book(0), [Record(0, timestamp=10), Record(1, timestamp=20), Record(2, timestamp=40)])
    taken = await inbox.take(10)
    assert [(a.ledger.tp.topic, a.record.offset) for a in taken] == [("t", 0), ("t", 1), ("u", 0), ("t", 2)]


async def test_a_clock_that_was_set_back_does_not_change_the_order_of_a_partition() -> None:
    inbox = Inbox(["t", "u"])
    inbox.put(book(0), [Record(0, timestamp=50), Record(1, timestamp=20)])
    inbox.put(book(0, "u"), [Record(0, timestamp=30)])
    taken = await inbox.take(10)
    assert [(a.ledger.tp.topic, a.record.offset) for a in taken] == [("u", 0), ("t", 0), ("t", 1)]


async def test_take_gives_none_when_the_time_is_over() -> None:
    inbox = Inbox(["t"])
    assert await inbox.take(10, timeout=0.01) == []
    inbox.put(book(0), records(1))
    assert len(await inbox.take(10, timeout=0.01)) == 1


async def test_take_gives_none_when_it_is_woken() -> None:
    inbox = Inbox(["t"])
    waiting = asyncio.create_task(inbox.take(10))
    await asyncio.sleep(0)
    inbox.wake()
    assert await waiting == []
    inbox.put(book(0), records(1))
    assert len(await inbox.take(10)) == 1


def test_a_wait_ends_in_time_whatever_the_loop_s_clock_rounds_to() -> None:
    # uvloop counts milliseconds: a timer may fire before the time that it was set to.
    async def wait_often() -> None:
        inbox = Inbox(["t"])
        for _ in range(20):
            assert await asyncio.wait_for(inbox.take(10, timeout=0.0137), 5) == []

    uvloop.run(wait_often())
