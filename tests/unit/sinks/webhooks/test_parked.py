"""Parked webhooks of paused endpoints: they delay no others, and continue at a limited pace."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from bus.memory import CATALOGUE, CODEC, MemoryKafka
from schemas.cloudevents import header
from schemas.records import WebhookTask
from sinks.settings import SinksSettings
from sinks.webhooks.parked import CHUNK, LOOKS_A_SECOND, RESUMED_A_SECOND, ParkedTier
from sinks.webhooks.retry import JITTER, TaskHeaders, schedule_of
from tests.clock import START, MovedClock

MINUTE = 60_000
PLACE = SimpleNamespace(topic=CATALOGUE["webhooks_parked"].name, partition=0)


class Waiting:
    """A parked tier with some webhooks, all of them due."""

    def __init__(self, *endpoints: str, paused: set[str], parked_at: int | None = START - 1) -> None:
        self.kafka, self.clock, self.asked = MemoryKafka(), MovedClock(), list[tuple[str, int]]()
        settings = SinksSettings(bootstrap_servers="unused:9092")

        self.paused = paused

        def stays(endpoint: str, since: int) -> bool:
            self.asked.append((endpoint, since))
            return endpoint in paused

        schedule = schedule_of(("1m", "5m", "1h"))
        self.tier = ParkedTier(settings, schedule, self.kafka, self.clock, stays, Mock())  # type: ignore[arg-type]
        self.tier._consumer = self.consumer = self.kafka.reader()
        headers = self.held_headers = TaskHeaders(3, 1, START, "o", parked_at=parked_at).encode()
        held = [self.record(number, endpoint, headers) for number, endpoint in enumerate(endpoints)]
        self.tier._held[PLACE.topic, 0] = self.held = _held(held)

    def record(self, offset: int, endpoint: str, headers: Any) -> Any:
        value = CODEC.encode(WebhookTask(endpoint, f"evt_{offset}", "delivery", b"{}"))
        return SimpleNamespace(**vars(PLACE), offset=offset, key=endpoint.encode(), value=value, headers=headers)

    def written(self, topic: str) -> list[tuple[str, TaskHeaders]]:
        name = CATALOGUE[topic].name
        sent = [record for record in self.kafka.sent if record.topic == name]
        return [(CODEC.decode(record.value).event_id, TaskHeaders.decode(record.headers)) for record in sent]


def _held(records: list[Any]) -> Any:
    return deque(SimpleNamespace(record=record, release_at=0.0) for record in records)


async def test_while_its_endpoint_is_paused_a_webhook_goes_to_the_end_of_its_partition_and_nowhere_else() -> None:
    waiting = Waiting("acme/crm", "acme/crm", paused={"acme/crm"})
    rest = await waiting.tier._release()
    assert waiting.written("webhooks_due") == []
    [(first, headers), (second, _)] = waiting.written("webhooks_parked")
    assert (first, second) == ("evt_0", "evt_1")
    assert headers == TaskHeaders(3, 1, START + 5 * MINUTE, "o", parked_at=START - 1)
    assert waiting.consumer.offsets == {(PLACE.topic, 0): 2}
    assert rest == pytest.approx(2 / LOOKS_A_SECOND)


async def test_after_the_pause_it_goes_on_as_it_was() -> None:
    waiting = Waiting("acme/crm", paused=set())
    rest = await waiting.tier._release()
    assert waiting.written("webhooks_parked") == []
    assert waiting.written("webhooks_due") == [("evt_0", TaskHeaders(3, 1, START, "o", parked_at=START - 1))]
    assert rest == pytest.approx(1 / RESUMED_A_SECOND)


async def test_each_endpoint_is_asked_for_by_its_own_name_and_since_when_it_waits() -> None:
    waiting = Waiting("acme/crm", "other/crm", paused={"acme/crm"})
    await waiting.tier._release()
    assert waiting.asked == [("acme/crm", START - 1), ("other/crm", START - 1)]
    assert [event_id for event_id, _ in waiting.written("webhooks_due")] == ["evt_1"]


async def test_one_that_does_not_say_since_when_it_waits_goes_on() -> None:
    waiting = Waiting("acme/crm", paused={"acme/crm"}, parked_at=None)
    await waiting.tier._release()
    assert [event_id for event_id, _ in waiting.written("webhooks_due")] == ["evt_0"]


async def test_however_many_are_due_a_few_are_moved_at_once() -> None:
    waiting = Waiting(*["acme/crm"] * (CHUNK + 5), paused={"acme/crm"})
    await waiting.tier._release()
    assert len(waiting.written("webhooks_parked")) == CHUNK
    assert waiting.consumer.offsets == {(PLACE.topic, 0): CHUNK}
    await waiting.tier._release()
    assert len(waiting.written("webhooks_parked")) == CHUNK + 5


async def test_the_next_look_is_a_delay_of_the_partition_away() -> None:
    waiting = Waiting("acme/crm", paused={"acme/crm"})
    await waiting.clock.move(7.0)
    await waiting.tier._release()
    [(_, headers)] = waiting.written("webhooks_parked")
    assert headers.due_at is not None
    assert abs(headers.due_at - (START + 7_000 + 5 * MINUTE)) <= 5 * MINUTE * JITTER


async def test_the_headers_of_the_event_stay() -> None:
    waiting = Waiting("acme/crm", paused={"acme/crm"})
    record = waiting.held[0].record
    record.headers = [*record.headers, ("traceparent", b"00-abc")]
    await waiting.tier._release()
    [sent] = waiting.kafka.sent
    assert header(sent.headers, "traceparent") == b"00-abc"


async def test_an_endpoint_that_is_resumed_between_two_of_its_webhooks_gets_them_in_order() -> None:
    waiting = Waiting(*["acme/crm"] * (CHUNK + 2), paused={"acme/crm"})
    await waiting.tier._release()
    waiting.paused.clear()
    await waiting.tier._release()
    assert waiting.written("webhooks_due") == []
    parked = [record for record in waiting.kafka.sent if record.topic == PLACE.topic]
    assert len(parked) == CHUNK + 2
    again = [
        SimpleNamespace(**vars(PLACE), offset=1_000 + n, key=b"acme/crm", value=record.value, headers=record.headers)
        for n, record in enumerate(parked)
    ]
    waiting.tier._held[PLACE.topic, 0] = _held(again)
    await waiting.tier._release()
    await waiting.tier._release()
    assert [event_id for event_id, _ in waiting.written("webhooks_due")] == [f"evt_{n}" for n in range(CHUNK + 2)]


async def test_webhooks_that_no_earlier_one_stands_behind_go_on_at_once() -> None:
    waiting = Waiting("acme/crm", "other/crm", paused={"acme/crm"})
    await waiting.tier._release()
    waiting.paused.clear()
    waiting.tier._held["other", 0] = _held([waiting.record(2, "other/crm", waiting.held_headers)])
    await waiting.tier._release()
    assert [event_id for event_id, _ in waiting.written("webhooks_due")] == ["evt_1", "evt_2"]
