from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from sinks.webhooks.window import Admission, Window
from tests.clock import MovedClock, settled
from tests.unit.sinks.sink_parts import ledger


def window(events: int = 10, size: int = 1_000) -> Window:
    return Window(events, size, MovedClock())


def test_an_event_settles_when_all_its_deliveries_have() -> None:
    partition, w = ledger(), window()
    event = w.admit(partition, 0, 100, 2)
    w.settle(event)
    assert (partition.durable, w.events, w.bytes) == (0, 1, 100)
    w.settle(event)
    assert (partition.durable, w.events, w.bytes) == (1, 0, 0)


def test_an_event_that_nobody_wants_settles_at_once() -> None:
    partition, w = ledger(), window()
    w.admit(partition, 0, 100, 0)
    assert (partition.durable, w.events) == (1, 0)


def test_the_offset_never_passes_an_event_that_is_not_settled() -> None:
    partition, w = ledger(), window()
    events = [w.admit(partition, offset, 1, 1) for offset in range(3)]
    w.settle(events[2])
    w.settle(events[1])
    assert partition.durable == 0
    w.settle(events[0])
    assert partition.durable == 3


@given(
    deliveries=st.lists(st.integers(0, 3), min_size=1, max_size=20),
    data=st.data(),
)
def test_durable_is_the_settled_prefix_whatever_the_order(deliveries: list[int], data: st.DataObject) -> None:
    partition, w = ledger(), window(1_000)
    events = [w.admit(partition, offset, 1, count) for offset, count in enumerate(deliveries)]
    open_ = [event for event in events for _ in range(event.pending)]
    for event in data.draw(st.permutations(open_)):
        w.settle(event)
        first_open = next((e.offset for e in events if e.pending), len(events))
        assert partition.durable == first_open
    assert (w.events, w.bytes) == (0, 0)


def test_an_abandoned_event_leaves_the_window_and_does_not_settle() -> None:
    partition, w = ledger(), window()
    event = w.admit(partition, 0, 100, 2)
    w.abandon(event)
    w.settle(event)
    assert (partition.durable, w.events, w.bytes) == (0, 0, 0)


def test_origin_names_the_record() -> None:
    assert Admission(ledger("sms.events.delivery", 3), 17, 0, 1).origin == "sms.events.delivery/3/17"


async def test_a_window_full_of_events_waits_until_a_tenth_is_free() -> None:
    partition, w = ledger(), window(events=20)
    events = [w.admit(partition, offset, 1, 1) for offset in range(20)]
    assert w.full
    waiting = asyncio.ensure_future(w.wait_room())
    w.settle(events[0])
    await settled()
    assert not waiting.done()
    w.settle(events[1])
    await waiting


async def test_a_window_full_of_bytes_waits_too() -> None:
    partition, w = ledger(), window(size=1_000)
    event = w.admit(partition, 0, 1_000, 1)
    assert w.full
    waiting = asyncio.ensure_future(w.wait_room())
    await settled()
    assert not waiting.done()
    w.settle(event)
    await waiting
    assert not w.full


async def test_draining_lets_go_of_what_is_queued_and_waits_for_the_rest() -> None:
    partition, w = ledger(), window()
    queued, under_way = w.admit(partition, 0, 1, 1), w.admit(partition, 1, 1, 1)
    w.on_drain.append(lambda: w.abandon(queued))
    draining = asyncio.ensure_future(w.drain(20.0))
    await settled()
    assert not draining.done()
    w.settle(under_way)
    assert await draining
    assert partition.durable == 0


async def test_draining_ends_after_its_time() -> None:
    clock = MovedClock()
    w = Window(10, 1_000, clock)
    w.admit(ledger(), 0, 1, 1)
    draining = asyncio.ensure_future(w.drain(20.0))
    await clock.move(19.9)
    assert not draining.done()
    await clock.move(0.2)
    assert await draining is False


async def test_draining_wakes_who_waits_for_room_and_changes_the_epoch() -> None:
    w = window(events=1)
    event = w.admit(ledger(), 0, 1, 1)
    epoch, waiting = w.epoch, asyncio.ensure_future(w.wait_room())
    await settled()
    draining = asyncio.ensure_future(w.drain(20.0))
    await waiting
    assert w.epoch != epoch
    w.settle(event)
    assert await draining


async def test_an_empty_window_is_drained_at_once() -> None:
    assert await window().drain(20.0)
