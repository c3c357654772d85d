"""An endpoint far behind its events: whatever was deferred without an attempt is not overtaken."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.records import WebhookTask
from sinks.webhooks.pace import PART_OF_QUEUE
from sinks.webhooks.retry import TaskHeaders
from tests.clock import START, MovedClock
from tests.unit.sinks.sink_parts import OK, delivered
from tests.unit.sinks.webhooks.test_webhook_sink import House, running


class SteppedClock(MovedClock):
    """A clock whose wall time is set `step` ms ahead."""

    step = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.step


async def test_nothing_is_overtaken_when_hundreds_of_contacts_wait() -> None:
    async with running(House(), rate_limit=1) as house:
        for number in range(400):
            await house.give(delivered(f"first-{number}", to=f"+1555{number:07d}"))
        put_off = house.written("webhooks_retry.1m")
        headers = dict(zip((task.event_id for task in put_off), house.headers_of("webhooks_retry.1m"), strict=True))
        for _ in range(100):
            await house.clock.move(0.05)
            await house.receiver.answer_all(OK)
        for task in (put_off[0], put_off[100], put_off[-1]):
            await house.give(delivered(f"second-{task.event_id}", to=task.contact))
        await house.clock.move(1.0)
        assert not [event_id for event_id in house.receiver.ids if event_id.startswith("second")]
        for _ in range(60):
            await house.clock.move(1.0)
            await house.receiver.answer_all(OK)
        await house.give(put_off[0], headers=headers[put_off[0].event_id].encode())
        await house.clock.move(0.1)
        assert house.receiver.ids[-1] == put_off[0].event_id


@pytest.mark.parametrize("step", [-86_400, 600], ids=["back", "ahead"])
async def test_setting_the_wall_clock_changes_nothing_about_who_waits(step: int) -> None:
    clock = SteppedClock()
    async with running(House(clock=clock), rate_limit=1) as house:
        for number in range(100):
            await house.give(delivered(f"first-{number}", to=f"+1555{number:07d}"))
        one, other = house.written("webhooks_retry.1m")[-2:]
        clock.step = step * 1000
        for _ in range(17):
            await house.clock.move(5.0)
            await house.receiver.answer_all(OK)
        await house.give(delivered("second", to=one.contact))
        assert house.sink.counts.deferred["behind"] == 1
        await house.clock.move(15.0)
        await house.give(delivered("second", to=other.contact))  # by now, another process has taken the first one
        assert house.sink.counts.deferred["behind"] == 1


async def test_an_endpoint_that_was_behind_gets_new_events_at_once_when_it_can_take_them() -> None:
    async with running(House(window_events=300)) as house:
        await house.give(delivered("measured"))
        await house.receiver.answer_all(OK)
        house.sink.lanes["acme/crm"].workers.latency = 0.1
        await house.give(*[delivered(f"first-{number}", to=f"+1555{number:07d}") for number in range(300)])
        assert len(house.written("webhooks_retry.1m")) > 100
        for _ in range(20):
            await house.clock.move(0.05)
            await house.receiver.answer_all(OK)
        await house.give(delivered("second", to="+15559999999"))
        await house.clock.move(0.05)
        assert house.receiver.ids[-1] == "second"


async def test_one_that_comes_back_while_an_earlier_one_was_put_off_again_waits_for_it() -> None:
    async with running(House()) as house:
        await house.give(delivered("first", to=None))
        lane = house.sink.lanes["acme/crm"]
        lane.workers.latency = 60.0
        await house.give(*[delivered(f"evt_{n}", to=None) for n in range(16)])
        await house.give(*[delivered(f"a{n}", to="+1") for n in (1, 2)])
        (one, two), headers = house.written("webhooks_retry.1m")[-2:], house.headers_of("webhooks_retry.1m")[-2:]
        await house.clock.move(61.0)
        await house.give(one, headers=headers[0].encode())
        lane.workers.latency = 0.02
        await house.give(two, headers=headers[1].encode())
        assert [task.event_id for task in house.written("webhooks_retry.1m")[-2:]] == ["a1", "a2"]
        assert not {"a1", "a2"} & set(house.receiver.ids)


async def test_what_has_minutes_of_work_ahead_of_it_returns_after_minutes() -> None:
    async with running(House(), rate_limit=1) as house:
        for number in range(500):
            await house.give(delivered(f"evt_{number}", to=f"+1555{number:07d}"))
        soon, later = len(house.written("webhooks_retry.1m")), len(house.written("webhooks_retry.5m"))
        # Besides the queue of a minute, 300 would be sent in the five minutes after their event.
        assert soon == pytest.approx(300 - 60, abs=10)
        assert soon + later == pytest.approx(500 - 60, abs=10)


async def test_retries_that_find_a_full_queue_return_by_what_is_ahead_of_them_and_keep_their_attempt() -> None:
    async with running(House(), rate_limit=1) as house:
        for number in range(500):
            task = WebhookTask("acme/crm", f"evt_{number}", "delivery", b"{}", contact=f"+1555{number:07d}")
            await house.give(task, headers=TaskHeaders(attempt=2, origin="sms.events/0/1").encode())
        assert len(house.written("webhooks_retry.5m")) == pytest.approx(500 - 300, abs=10)
        assert {headers.attempt for headers in house.headers_of("webhooks_retry.5m")} == {2}


def returning(number: int, **headers: Any) -> tuple[WebhookTask, list[tuple[str, bytes]]]:
    """Return a due webhook about a contact of its own, and its headers."""
    task = WebhookTask("acme/crm", f"back_{number}", "delivery", b"{}", contact=f"+1666{number:07d}")
    return task, TaskHeaders(origin="sms.events/0/1", **headers).encode()


@pytest.mark.parametrize("headers", [{"mark": START}, {"attempt": 2}, {"parked_at": START}, {"replayed": True}])
async def test_new_events_find_room_however_much_returns(headers: dict[str, Any]) -> None:
    async with running(House(), rate_limit=10) as house:
        for number in range(800):
            task, own = returning(number, **headers)
            await house.give(task, headers=own)
        assert house.sink.lanes["acme/crm"].queued == pytest.approx(PART_OF_QUEUE * 60 * 10, abs=10)
        await house.give(delivered("new", to="+15559999999"))
        for _ in range(170):
            await house.clock.move(0.1)
            await house.receiver.answer_all(OK)
        assert "new" in house.receiver.ids


@pytest.mark.parametrize("headers", [{"mark": START}, {"attempt": 2}, {"parked_at": START}, {"replayed": True}])
async def test_what_returns_finds_room_however_many_new_events_come(headers: dict[str, Any]) -> None:
    async with running(House(), rate_limit=4) as house:
        await house.give(*[delivered(f"new_{number}", to=f"+1555{number:07d}") for number in range(300)])
        assert house.sink.lanes["acme/crm"].queued == pytest.approx(60 * 4, abs=10)
        for number in range(300):
            task, own = returning(number, **headers)
            await house.give(task, headers=own)
        part = PART_OF_QUEUE * 60 * 4
        assert house.sink.lanes["acme/crm"].queued == pytest.approx(60 * 4 + part, abs=10)
        for number in range(300, 600):
            await house.clock.move(0.25)
            await house.give(delivered(f"new_{number}", to=f"+1555{number:07d}"))
            await house.receiver.answer_all(OK)
        assert len([event_id for event_id in house.receiver.ids if event_id.startswith("back")]) >= part - 1


async def test_a_new_event_does_not_wait_for_a_replayed_one_of_its_contact() -> None:
    async with running(House(), rate_limit=1) as house:
        for number in range(100):
            task, own = returning(number, replayed=True)
            await house.give(task, headers=own)
        deferred = house.written("webhooks_retry.1m")[-1]
        assert all(headers.replayed for headers in house.headers_of("webhooks_retry.1m"))
        await house.give(delivered("new", to=deferred.contact))
        assert house.sink.counts.deferred["behind"] == 0
