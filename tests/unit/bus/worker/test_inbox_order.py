"""Records of one key leave the inbox in the order of writing, however a backlog is read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.clock import now_ms
from bus.ledger import Ledger, TopicPartition
from bus.worker.inbox import PATIENCE, Inbox

REPLY, UNSUBSCRIBE, DUE = (TopicPartition(topic, 0) for topic in ("reply", "unsubscribe", "due"))


@dataclass
class Record:
    offset: int
    timestamp: int
    value: bytes = b"x"
    headers: tuple[tuple[str, bytes], ...] = ()


class Seconds:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


@pytest.fixture
def inbox(clock: Seconds) -> Inbox:
    return Inbox(["reply", "unsubscribe", "due"], apart=["due"], clock=clock)


def put(inbox: Inbox, tp: TopicPartition, *times: int, offset: int = 0) -> None:
    inbox.put(Ledger(tp, 0, 1), [Record(offset + number, at) for number, at in enumerate(times)])


async def taken(inbox: Inbox, limit: int = 100) -> list[tuple[str, int]]:
    """Return topic and time of the records that come out now."""
    return [(a.ledger.tp.topic, a.record.timestamp) for a in await inbox.take(limit, timeout=0.01)]


async def test_a_start_that_lies_deep_in_a_backlog_comes_before_the_stop_that_followed_it(inbox: Inbox) -> None:
    put(inbox, REPLY, *range(0, 3_000, 2))
    put(inbox, UNSUBSCRIBE, 2_501)
    order: list[tuple[str, int]] = []
    while len(inbox):
        order += await taken(inbox, 64)
    assert order.index(("unsubscribe", 2_501)) == order.index(("reply", 2_500)) + 1


async def test_a_record_waits_for_what_the_broker_still_has_beside_it(inbox: Inbox) -> None:
    inbox.expect(REPLY, more=True)
    put(inbox, UNSUBSCRIBE, 20)
    assert await taken(inbox) == []
    put(inbox, REPLY, 10)
    inbox.expect(REPLY, more=False)
    assert await taken(inbox) == [("reply", 10), ("unsubscribe", 20)]


async def test_a_partition_that_runs_dry_before_its_end_holds_up_what_was_written_later(inbox: Inbox) -> None:
    inbox.expect(REPLY, more=True)
    put(inbox, REPLY, 10, 20)
    put(inbox, UNSUBSCRIBE, 15, 30)
    assert await taken(inbox) == [("reply", 10), ("unsubscribe", 15), ("reply", 20)]
    put(inbox, REPLY, 25, offset=2)
    inbox.expect(REPLY, more=False)
    assert await taken(inbox) == [("reply", 25), ("unsubscribe", 30)]


async def test_whoever_takes_wakes_up_when_it_turns_out_that_nothing_more_comes(inbox: Inbox) -> None:
    inbox.expect(REPLY, more=True)
    put(inbox, UNSUBSCRIBE, 20)
    taking = asyncio.create_task(inbox.take(10))
    await asyncio.sleep(0)
    assert not taking.done()
    inbox.expect(REPLY, more=False)
    assert len(await asyncio.wait_for(taking, 1)) == 1


async def test_a_partition_that_cannot_be_read_holds_up_the_others_for_seconds_only_and_once(
    inbox: Inbox, clock: Seconds, caplog: pytest.LogCaptureFixture
) -> None:
    inbox.expect(REPLY, more=True)
    put(inbox, UNSUBSCRIBE, 20, 30)
    clock.now += PATIENCE
    assert await taken(inbox, 1) == [("unsubscribe", 20)]
    assert await taken(inbox, 1) == [("unsubscribe", 30)]
    assert [record.message for record in caplog.records] == ["nothing arrives from reply[0]: continuing without it"]


async def test_topics_with_other_keys_neither_wait_nor_hold_up(inbox: Inbox) -> None:
    inbox.expect(REPLY, more=True)
    put(inbox, UNSUBSCRIBE, 20)
    put(inbox, DUE, 99)
    assert await taken(inbox) == [("due", 99)]


async def test_another_partition_number_goes_on(inbox: Inbox) -> None:
    inbox.expect(REPLY, more=True)
    put(inbox, UNSUBSCRIBE, 20)
    put(inbox, TopicPartition("reply", 1), 50)
    assert await taken(inbox) == [("reply", 50)]


async def test_a_full_inbox_still_takes_what_others_wait_for() -> None:
    inbox = Inbox(["reply", "unsubscribe"], max_total_bytes=1)
    put(inbox, UNSUBSCRIBE, 20)
    inbox.expect(REPLY, more=True)
    assert inbox.wants(REPLY)
    assert not inbox.wants(UNSUBSCRIBE)


async def test_a_time_ahead_of_the_clock_is_the_time_of_arrival(inbox: Inbox) -> None:
    put(inbox, REPLY, (2**41) + 1)
    await asyncio.sleep(0.002)
    put(inbox, UNSUBSCRIBE, now_ms())
    assert [topic for topic, _ in await taken(inbox)] == ["reply", "unsubscribe"]


async def test_what_was_given_up_holds_nothing_up(inbox: Inbox) -> None:
    inbox.expect(REPLY, more=True)
    inbox.clear()
    put(inbox, UNSUBSCRIBE, 20)
    assert await taken(inbox) == [("unsubscribe", 20)]


@given(
    backlog=st.dictionaries(st.sampled_from("abcd"), st.lists(st.integers(0, 50)).map(sorted)),
    chunks=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 5)), max_size=60),
    limit=st.integers(1, 7),
)
def test_in_whatever_pieces_partitions_are_fetched_everything_comes_once_and_by_time(
    backlog: dict[str, list[int]], chunks: Sequence[tuple[str, int]], limit: int
) -> None:
    async def read() -> list[int]:
        inbox = Inbox("abcd", clock=lambda: 0.0)
        left = {TopicPartition(topic, 0): list(times) for topic, times in backlog.items()}
        offsets = dict.fromkeys(left, 0)
        for tp, times in left.items():
            inbox.expect(tp, more=bool(times))
        order: list[int] = []
        for topic, count in [*chunks, *((topic, 50) for topic in backlog for _ in range(2))]:
            tp = TopicPartition(topic, 0)
            if left.get(tp):
                put(inbox, tp, *left[tp][:count], offset=offsets[tp])
                offsets[tp] += count
                del left[tp][:count]
                inbox.expect(tp, more=bool(left[tp]))
            order += [time for _, time in await taken_now(inbox, limit)]
        while len(inbox):
            order += [time for _, time in await taken_now(inbox, limit)]
        return order

    async def taken_now(inbox: Inbox, limit: int) -> list[tuple[str, int]]:
        inbox.wake()
        return [(a.ledger.tp.topic, a.record.timestamp) for a in await inbox.take(limit)]

    assert asyncio.run(read()) == sorted(time for times in backlog.values() for time in times)
