"""Deliveries of a contact that waited for a paused endpoint go out in their order, however they return."""

from __future__ import annotations

import gc
import sys
from typing import Any

from schemas.records import WebhookTask
from sinks.webhooks.delivery import Delivery
from sinks.webhooks.lane_order import RETURN_MS, LaneOrder
from sinks.webhooks.window import Admission
from tests.clock import START, MovedClock
from tests.unit.sinks.sink_parts import OK, delivered, endpoint, ledger
from tests.unit.sinks.webhooks.test_webhook_sink import House, running

CONTACT = "+15550001111"


class Order(LaneOrder):
    """A lane's order, with its clock."""

    def __init__(self) -> None:
        self.moved_clock = MovedClock()
        super().__init__(self.moved_clock)

    def parked(self, event_id: str, **changes: Any) -> Delivery:
        """Return a delivery that was just parked."""
        delivery = waiting(event_id, parked_at=self.moved_clock.now_ms(), **changes)
        self.park(delivery)
        return delivery


def waiting(event_id: str, contact: str = CONTACT, **changes: Any) -> Delivery:
    return Delivery("acme/crm", event_id, "delivery", b"{}", contact, Admission(ledger(), 0, 0, 1), **changes)


def test_one_that_was_parked_waits_for_an_earlier_one_of_its_contact_and_for_no_other() -> None:
    order = Order()
    first, second, other = order.parked("1"), order.parked("2"), order.parked("3", contact="+1")
    order.resumed()
    assert [order.must_wait(each) for each in (first, second, other)] == [False, True, False]
    order.passed(first, parks=False)
    assert not order.must_wait(second)


def test_one_that_was_parked_waits_for_an_earlier_one_that_is_deferred_now() -> None:
    order = Order()
    first, second = order.parked("1"), order.parked("2")
    order.resumed()
    order.put_off(first, START + 60_000)
    assert order.must_wait(second)


def test_events_after_the_resume_do_not_wait_for_what_was_parked() -> None:
    order = Order()
    first = order.parked("1")
    order.resumed()
    assert not order.must_wait(waiting("new"))
    order.put_off(first, START + 60_000)
    assert not order.must_wait(waiting("new"))
    deferred = waiting("new")
    order.give_mark(deferred)
    assert not order.must_wait(deferred)


def test_one_that_was_deferred_before_the_resume_waits_for_an_earlier_one_that_was_parked() -> None:
    order = Order()
    first, second = waiting("1"), waiting("2")
    order.give_mark(first)
    order.give_mark(second)
    order.put_off(second, START + 60_000)
    first.parked_at = START
    order.park(first)
    order.resumed()
    assert order.must_wait(second)


def test_one_that_never_returns_is_waited_for_during_an_hour() -> None:
    order = Order()
    order.parked("1")
    second = order.parked("2")
    order.resumed()
    order.moved_clock.now += RETURN_MS / 1000
    assert order.must_wait(second)
    order.moved_clock.now += 1
    assert not order.must_wait(second)


def test_the_next_pause_begins_without_what_never_returned() -> None:
    order = Order()
    lost = order.parked("1")
    order.resumed()
    order.moved_clock.now += RETURN_MS / 1000 + 1
    assert not order.must_wait(order.parked("2"))
    order.passed(lost, parks=False)
    assert order


def test_a_long_pause_forgets_nobody() -> None:
    order = Order()
    order.resumed()
    order.parked("1")
    order.moved_clock.now += 3 * RETURN_MS / 1000
    second = order.parked("2")
    order.resumed()
    assert order.must_wait(second)


def test_a_parked_delivery_takes_up_a_few_bytes_however_long_the_pause() -> None:
    order, day = Order(), 86_400
    order.parked("0")
    before = stored(order)
    for number in range(1, 1_000):
        order.moved_clock.now += day / 1_000
        order.parked(str(number))
    assert (stored(order) - before) / 999 < 40


def stored(order: LaneOrder) -> int:
    """Return the size of what an order refers to, in bytes."""
    seen: dict[int, Any] = {}
    left: list[Any] = [order._deferred, order._parked, order._returned]
    while left:
        each = left.pop()
        if id(each) not in seen and not isinstance(each, type):
            seen[id(each)] = each
            left += gc.get_referents(each)
    return sum(map(sys.getsizeof, seen.values()))


def test_what_may_have_moved_to_another_process_is_not_waited_for() -> None:
    order = Order()
    order.parked("1")
    second = order.parked("2")
    order.resumed()
    order.moved()
    assert not order.must_wait(second)


def test_a_retry_keeps_no_order_and_is_not_remembered() -> None:
    order = Order()
    retry = order.parked("1", attempt=2)
    assert retry.mark is None
    assert not order


def returned(house: House, event_id: str) -> tuple[WebhookTask, Any]:
    """Return a parked webhook as it comes back."""
    tasks, headers = house.written("webhooks_parked"), house.headers_of("webhooks_parked")
    number = [task.event_id for task in tasks].index(event_id)
    return tasks[number], headers[number].encode()


async def test_after_a_long_pause_they_go_out_in_order_although_they_return_by_the_minute_of_their_check() -> None:
    async with running(House()) as house:
        house.configure(endpoint(enabled=False))
        await house.give(delivered("first"))
        await house.clock.move(895.0)
        await house.give(delivered("second"))
        house.configure(endpoint())
        task, headers = returned(house, "second")
        await house.give(task, headers=headers)
        assert house.receiver.requests == []
        first, first_headers = returned(house, "first")
        await house.give(first, headers=first_headers)
        [again] = house.written("webhooks_retry.1m")
        [again_headers] = house.headers_of("webhooks_retry.1m")
        await house.receiver.answer(OK)
        await house.give(again, headers=again_headers.encode())
        assert house.receiver.ids == ["first", "second"]


async def test_what_was_deferred_when_the_pause_began_is_not_overtaken_by_what_was_parked_at_once() -> None:
    async with running(House(), rate_limit=1) as house:
        await house.give(*[delivered(f"evt_{n}", to=f"+1{n}") for n in range(100)])
        [*_, deferred] = house.written("webhooks_retry.1m")
        [*_, headers] = house.headers_of("webhooks_retry.1m")
        house.configure(endpoint(enabled=False))
        await house.give(delivered("later", to=deferred.contact))
        await house.give(deferred, headers=headers.encode())
        house.configure(endpoint())
        for event_id in ("later", deferred.event_id, "later"):
            task, own = returned(house, event_id)
            await house.give(task, headers=own)
        await house.receiver.answer_all(OK)
        assert house.receiver.ids[-2:] == [deferred.event_id, "later"]
