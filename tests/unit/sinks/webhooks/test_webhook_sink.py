from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError
from msgspec.structs import replace

from accounts.model import Accounts
from bus.ledger import Ledger
from bus.memory import MemoryKafka
from bus.worker.inbox import Inbox
from outbound.bodies import body_of
from outbound.outcomes import answered
from schemas.cloudevents import header
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.records import (
    AccountConfig,
    DeadWebhook,
    EndpointAlert,
    EndpointPause,
    MessageCallback,
    Record,
    RejectedRecord,
    ReplyEvent,
    WebhookTask,
)
from schemas.topics import Catalogue
from sinks.settings import SinksSettings
from sinks.webhooks.attempt_log import AttemptLog
from sinks.webhooks.breaker import FAILURES
from sinks.webhooks.delivery import Delivery
from sinks.webhooks.pace import LEAST_SOON
from sinks.webhooks.pausing import PauseRule, Pauses
from sinks.webhooks.retry import TaskHeaders, schedule_of
from sinks.webhooks.sink import WebhookParts, WebhookSink
from tests.clock import START, MovedClock, settled
from tests.unit.sinks.sink_parts import OK, Receiver, delivered, endpoint, ledger

CATALOGUE = Catalogue(schedule=("1s", "1m", "5m"))
CODEC = Codec(FolderRegistry())
LIST, OTHER_LIST = "+18005551234", "+18009999999"


class House:
    """A sink with its whole environment."""

    def __init__(
        self, delays: Sequence[str] = ("1m", "5m"), *, clock: MovedClock | None = None, **settings: Any
    ) -> None:
        self.clock = clock or MovedClock()
        self.receiver = Receiver()
        self.kafka = MemoryKafka()
        self.accounts = Accounts()
        self.inbox = Inbox(["events"])
        self.crashes: list[BaseException] = []
        self.alerts: list[EndpointAlert] = []
        self.answers_elsewhere = False
        self.ledger = ledger()
        self.attempts = AttemptLog(self.kafka, CODEC, CATALOGUE["webhooks_attempts"].name)
        self.pauses = Pauses(
            PauseRule(3, 60.0),
            self.accounts,
            self.clock,
            owns=lambda endpoint: True,
            answered_since=self.answered_since,
            write=self.write,
            tell=self.tell,
        )
        self.sink = WebhookSink(
            SinksSettings(bootstrap_servers="unused:9092", **settings),
            schedule_of(delays),
            self.inbox,
            self.accounts,
            WebhookParts(
                codec=CODEC,
                catalogue=CATALOGUE,
                producer=self.kafka,
                post=self.receiver.post,
                clock=self.clock,
                crash=self.crash,
            ),
            pauses=self.pauses,
            attempts=self.attempts,
        )

    async def write(self, pause: EndpointPause) -> None:
        self.configure(pause)

    async def tell(self, alert: EndpointAlert) -> None:
        self.alerts.append(alert)

    async def answered_since(self, endpoint: str, since: int) -> bool:
        return self.answers_elsewhere

    async def crash(self, error: BaseException) -> None:
        self.crashes.append(error)

    async def give(self, *records: Record | bytes, headers: Any = (), owner: Ledger | None = None) -> None:
        """Let records arrive."""
        owner = owner or self.ledger
        for record in records:
            value = record if isinstance(record, bytes) else CODEC.encode(record)
            offset = owner.expected
            owner.expected += 1
            self.inbox.put(
                owner, [SimpleNamespace(offset=offset, value=value, key=b"key", headers=headers, timestamp=START)]
            )
        await settled()

    def configure(self, *endpoints: Any) -> None:
        for each in endpoints:
            self.accounts.put(each)
            name = each.endpoint if isinstance(each, EndpointPause) else each.id
            self.sink.on_change("config_endpoints", f"{each.account}/{name}")

    def delete(self, key: str) -> None:
        self.accounts.drop("config_endpoints", key)
        self.sink.on_change("config_endpoints", key)

    def written(self, topic: str) -> list[Any]:
        return [CODEC.decode(record.value) for record in self.kafka.sent if record.topic == CATALOGUE[topic].name]

    def headers_of(self, topic: str) -> list[TaskHeaders]:
        found = [record.headers for record in self.kafka.sent if record.topic == CATALOGUE[topic].name]
        return [TaskHeaders.decode(headers) for headers in found]


@asynccontextmanager
async def running(house: House, **changes: Any) -> AsyncIterator[House]:
    """Run a house with an endpoint; `changes` are its settings."""
    house.configure(endpoint(**changes))
    task = asyncio.ensure_future(house.sink.run())
    yield house
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with running(House()) as house:
        yield house


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        (endpoint(), True),
        (endpoint(events=("delivery",)), True),
        (endpoint(events=("reply",)), False),
        (endpoint(events=()), False),
        (endpoint(lists=(LIST,)), True),
        (endpoint(lists=(OTHER_LIST,)), False),
        (endpoint(lists=(OTHER_LIST, LIST)), True),
        (endpoint(account="other"), False),
    ],
)
async def test_an_endpoint_gets_the_events_and_lists_that_it_wants(house: House, config: Any, wanted: bool) -> None:
    house.delete("acme/crm")
    house.configure(config)
    await house.give(delivered("evt_1", list_number=LIST))
    assert len(house.receiver.requests) == wanted
    assert house.ledger.durable == (not wanted)


async def test_an_event_without_a_list_goes_to_endpoints_without_a_list(house: House) -> None:
    house.configure(endpoint("filtered", lists=(LIST,)))
    await house.give(delivered("evt_1", list_number=None))
    assert [request.url for request in house.receiver.requests] == ["https://crm.example.com/hook"]


async def test_every_endpoint_gets_the_same_bytes_and_the_event_settles_after_the_last(house: House) -> None:
    house.configure(endpoint("second"))
    event = delivered("evt_1")
    await house.give(event)
    assert [request.body for request in house.receiver.requests] == [body_of(event)] * 2
    await house.receiver.answer(OK)
    assert house.ledger.durable == 0
    await house.receiver.answer(OK)
    assert house.ledger.durable == 1


async def test_a_slow_answer_holds_nothing_but_its_own_offset(house: House) -> None:
    house.configure(endpoint("other", account="other"))
    await house.give(delivered("slow"), *[delivered(f"evt_{n}", account="other") for n in range(5)])
    while len(house.receiver.open) > 1:
        house.receiver.open[-1].answer.set_result(OK)
        await settled()
    assert house.receiver.ids == ["slow", "evt_0", "evt_1", "evt_2", "evt_3", "evt_4"]
    assert house.ledger.durable == 0
    await house.receiver.answer(OK)
    assert house.ledger.durable == 6


async def test_a_failure_settles_when_its_task_is_acknowledged_in_a_delay_topic(house: House) -> None:
    house.kafka.acknowledges = False
    event = delivered("evt_1")
    await house.give(event)
    await house.clock.move(0.5)
    await house.receiver.answer(answered(500))
    [task] = house.written("webhooks_retry.1m")
    assert task == WebhookTask("acme/crm", "evt_1", "delivery", body_of(event), contact="+15550001111")
    assert house.headers_of("webhooks_retry.1m") == [TaskHeaders(2, START, START + 500 + 60_000, "sms.events/0/0")]
    assert house.ledger.durable == 0
    house.kafka.open[0].set_result(None)
    await settled()
    assert house.ledger.durable == 1


async def test_records_that_are_written_say_what_they_are(house: House) -> None:
    await house.give(delivered("evt_1"))
    await house.receiver.answer(answered(500))
    [record] = house.kafka.sent
    assert record.key == b"acme/crm"
    assert header(record.headers, "ce_type") == b"trackly.WebhookTask"
    assert header(record.headers, "ce_id") == b"evt_1"


async def test_a_trace_goes_on_into_every_attempt(house: House) -> None:
    trace = [("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
    await house.give(delivered("evt_1"), headers=trace)
    await house.receiver.answer(answered(500))
    [record] = house.kafka.sent
    await house.give(CODEC.decode(record.value), headers=list(record.headers))
    assert [request.headers["traceparent"] for request in house.receiver.requests] == [trace[0][1].decode()] * 2
    await house.give(delivered("evt_2", to="+15550002222"))
    assert "traceparent" not in house.receiver.requests[-1].headers


@pytest.mark.parametrize(
    ("attempt", "topic", "next_attempt"),
    [(1, "webhooks_retry.1m", 2), (2, "webhooks_retry.5m", 3)],
)
async def test_a_due_task_goes_on_with_its_attempts(house: House, attempt: int, topic: str, next_attempt: int) -> None:
    task = WebhookTask("acme/crm", "evt_1", "delivery", b"as it was signed before")
    await house.give(task, headers=TaskHeaders(attempt, 7, 8, "sms.events/3/9").encode())
    [request] = house.receiver.requests
    assert (request.body, request.headers["webhook-id"]) == (task.body, "evt_1")
    await house.receiver.answer(answered(500))
    assert house.written(topic) == [task]
    [headers] = house.headers_of(topic)
    assert (headers.attempt, headers.first_attempt_at, headers.origin) == (next_attempt, 7, "sms.events/3/9")


async def test_the_last_failure_is_a_dead_letter(house: House) -> None:
    task = WebhookTask("acme/crm", "evt_1", "delivery", b"body")
    await house.give(task, headers=TaskHeaders(3, 7, 8, "sms.events/3/9").encode())
    await house.receiver.answer(answered(503))
    assert house.written("webhooks_dead") == [
        DeadWebhook(
            endpoint="acme/crm",
            event_id="evt_1",
            event="delivery",
            body=b"body",
            attempts=3,
            last_status=503,
            error_class="http_status",
            first_attempt_at=7,
            died_at=START,
            origin="sms.events/3/9",
        )
    ]
    assert (house.sink.counts.dead, house.ledger.durable) == (1, 1)


async def test_a_task_without_headers_is_a_first_attempt(house: House) -> None:
    await house.give(WebhookTask("acme/crm", "evt_1", "delivery", b"{}"))
    await house.receiver.answer(answered(500))
    [headers] = house.headers_of("webhooks_retry.1m")
    assert (headers.attempt, headers.first_attempt_at, headers.origin) == (2, START, "sms.events/0/0")


async def test_tasks_of_one_contact_keep_their_order_among_themselves(house: House) -> None:
    await house.give(*[WebhookTask("acme/crm", f"evt_{n}", "delivery", b"{}", contact="+1") for n in range(2)])
    await house.give(WebhookTask("acme/crm", "other", "delivery", b"{}", contact="+2"))
    assert [request.headers["webhook-id"] for request in house.receiver.open] == ["evt_0", "other"]
    await house.receiver.answer_all(OK)
    assert house.receiver.ids == ["evt_0", "other", "evt_1"]


async def test_a_task_of_a_deleted_endpoint_is_dropped(house: House, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        await house.give(WebhookTask("acme/gone", "evt_1", "delivery", b"{}"))
    assert "acme/gone" in caplog.text
    assert (house.sink.counts.dropped, house.ledger.durable) == (1, 1)
    assert house.kafka.sent == []


async def test_deleting_an_endpoint_drops_what_waits_for_it(house: House) -> None:
    await house.give(delivered("evt_1"), delivered("evt_2"))
    house.delete("acme/crm")
    await house.receiver.answer(OK)
    assert (house.sink.counts.dropped, house.ledger.durable) == (1, 2)


async def test_events_of_a_disabled_endpoint_are_parked_and_keep_their_attempt(house: House) -> None:
    house.configure(endpoint(enabled=False))
    await house.give(delivered("evt_1"))
    parked = TaskHeaders(1, None, START + 300_000, "sms.events/0/0", parked_at=START, mark=START)
    assert house.headers_of("webhooks_parked") == [parked]
    assert (house.receiver.requests, house.ledger.durable) == ([], 1)


async def test_an_open_breaker_counts_as_an_attempt_so_that_retries_end(house: House) -> None:
    for number in range(FAILURES):
        await house.give(delivered(f"evt_{number}", to=None))
        await house.receiver.answer(answered(500))
    tasks = [WebhookTask("acme/crm", f"due_{attempt}", "delivery", b"{}") for attempt in (1, 2, 3)]
    for attempt, task in enumerate(tasks, 1):
        await house.give(task, headers=TaskHeaders(attempt, 7, 8, "o").encode())
    assert len(house.receiver.requests) == FAILURES
    assert house.written("webhooks_retry.1m")[FAILURES:] == [tasks[0]]
    assert house.written("webhooks_retry.5m") == [tasks[1]]
    [dead] = house.written("webhooks_dead")
    assert (dead.event_id, dead.error_class, dead.attempts, dead.last_status) == ("due_3", "breaker_open", 3, None)
    assert house.sink.counts.deferred == {"breaker_open": 3}


async def test_what_a_slow_endpoint_cannot_take_soon_waits_and_keeps_its_attempt(house: House) -> None:
    await house.give(delivered("first", to=None))
    house.sink.lanes["acme/crm"].workers.latency = 60.0
    await house.give(*[delivered(f"evt_{n}", to=None) for n in range(20)])
    overflow = house.sink.counts.deferred["overflow"]
    assert overflow == 5
    assert {headers.attempt for headers in house.headers_of("webhooks_retry.1m")} == {1}
    assert house.ledger.durable == 0


async def test_where_delays_are_short_an_endpoint_s_queue_holds_what_it_takes_in_ten_seconds() -> None:
    async with running(House(("1s", "5m"))) as house:
        await house.give(delivered("first", to=None))
        house.sink.lanes["acme/crm"].workers.latency = 1.0
        await house.give(*[delivered(f"evt_{n}", to=None) for n in range(200)])
        assert house.sink.counts.deferred["overflow"] == 201 - 16 * LEAST_SOON


async def test_what_follows_a_webhook_that_was_put_off_does_not_overtake_it(house: House) -> None:
    await house.give(delivered("first", to=None))
    house.sink.lanes["acme/crm"].workers.latency = 60.0
    await house.give(*[delivered(f"evt_{n}", to=None) for n in range(16)], delivered("a1", to="+1"))
    await house.receiver.answer_all(OK)
    house.sink.lanes["acme/crm"].workers.latency = 0.02
    await house.give(delivered("a2", to="+1"), delivered("b1", to="+2"))
    assert [task.event_id for task in house.written("webhooks_retry.1m") if task.contact == "+1"] == ["a1", "a2"]
    assert house.receiver.ids[-1] == "b1"
    assert house.sink.counts.deferred["behind"] == 1
    await house.clock.move(61.0)
    for task, headers in zip(house.written("webhooks_retry.1m")[-2:], house.headers_of("webhooks_retry.1m")[-2:],
                             strict=True):  # fmt: skip
        await house.give(task, headers=headers.encode())
        await house.receiver.answer_all(OK)
    assert house.receiver.ids[-2:] == ["a1", "a2"]


async def test_a_fast_endpoint_with_a_long_backlog_is_waited_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house.sink.window, "_max_events", 150)
    await house.give(delivered("first", to=None))
    lane = house.sink.lanes["acme/crm"]
    lane.workers.latency = 0.0001
    await house.give(*[delivered(f"evt_{n}", to=None) for n in range(300)])
    assert len(house.inbox) > 0
    while house.receiver.open:
        await house.receiver.answer_all(OK)
    assert house.sink.counts.attempts == {"2xx": 301}
    assert house.sink.counts.deferred == {}


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (b"garbage", "magic byte"),
        (CODEC.encode(AccountConfig(id="acme", name="Acme")), "AccountConfig"),
        (CODEC.encode(delivered("evt_1"))[:-1], "schema"),
    ],
)
async def test_what_is_no_webhook_is_rejected_and_stops_nothing(house: House, value: bytes, error: str) -> None:
    await house.give(value, delivered("evt_1"))
    await house.receiver.answer(OK)
    [rejected] = house.written("rejected")
    assert isinstance(rejected, RejectedRecord)
    assert (rejected.stage, rejected.reason, rejected.source_value) == ("webhooks", "not_decodable", value)
    assert (rejected.source_topic, rejected.source_partition, rejected.source_offset) == ("sms.events", 0, 0)
    assert error in rejected.error
    assert house.ledger.durable == 2


async def test_a_topic_full_of_garbage_stops_the_worker(house: House) -> None:
    await house.give(*[b"garbage"] * 200)
    for _ in range(10):
        await settled()
    assert "failed" in str(house.crashes[0])


async def test_what_kafka_does_not_take_for_its_size_is_rejected(house: House) -> None:
    house.kafka.failing = [MessageSizeTooLargeError()]
    await house.give(delivered("evt_1"))
    await house.receiver.answer(answered(500))
    [rejected] = house.written("rejected")
    assert (rejected.reason, rejected.source_value, rejected.source_offset) == ("too_large", None, 0)
    assert (house.ledger.durable, house.crashes) == (1, [])


async def test_a_kafka_that_takes_nothing_crashes_the_worker_once(house: House) -> None:
    first = KafkaTimeoutError()
    house.kafka.failing = [first, KafkaTimeoutError()]
    await house.give(delivered("evt_1"), delivered("evt_2", to=None))
    await house.receiver.answer_all(answered(500))
    assert house.crashes == [first]
    assert house.ledger.durable == 0
    assert await house.sink.drain(20.0) is False


async def test_draining_finishes_what_is_under_way_and_lets_the_rest_go(house: House) -> None:
    await house.give(delivered("evt_1"), delivered("evt_2"))
    draining = asyncio.ensure_future(house.sink.drain(20.0))
    await settled()
    assert not draining.done()
    await house.receiver.answer(OK)
    assert await draining
    assert house.receiver.ids == ["evt_1"]
    assert (house.ledger.durable, house.sink.window.events) == (1, 0)


async def test_after_draining_the_next_owner_delivers_what_was_let_go(house: House) -> None:
    await house.give(delivered("evt_1"), delivered("evt_2"))
    draining = asyncio.ensure_future(house.sink.drain(20.0))
    await settled()
    await house.receiver.answer(OK)
    await draining
    again = Ledger(house.ledger.tp, house.ledger.durable, 2)
    await house.give(delivered("evt_2"), owner=again)
    await house.receiver.answer(OK)
    assert house.receiver.ids == ["evt_1", "evt_2"]
    assert (again.durable, house.ledger.durable) == (2, 1)


async def test_records_that_were_taken_but_not_placed_are_let_go_too() -> None:
    house = House(window_events=2)
    house.configure(endpoint())
    running = asyncio.ensure_future(house.sink.run())
    await house.give(*[delivered(f"evt_{n}", to=None) for n in range(5)])
    assert len(house.receiver.requests) == 2
    draining = asyncio.ensure_future(house.sink.drain(20.0))
    await house.receiver.answer_all(OK)
    assert await draining
    assert len(house.receiver.requests) == 2
    assert await house.inbox.wait_idle(1.0)
    running.cancel()


async def test_a_full_window_takes_nothing_until_there_is_room() -> None:
    house = House(window_events=2)
    house.configure(endpoint())
    running = asyncio.ensure_future(house.sink.run())
    await house.give(*[delivered(f"evt_{n}", to=None) for n in range(5)])
    assert (len(house.receiver.requests), house.sink.window.events) == (2, 2)
    while house.receiver.open:
        await house.receiver.answer_all(OK)
        assert house.sink.window.events <= 2
    assert house.ledger.durable == 5
    running.cancel()


async def test_counts(house: House) -> None:
    await house.give(
        delivered("evt_1", to=None),
        delivered("evt_2", to=None),
        delivered("evt_3", account="nobody"),
        ReplyEvent(
            event_id="evt_4",
            account="acme",
            provider="twilio",
            phone_number="+1",
            list_number=None,
            body="hi",
            timestamp=0,
        ),
    )
    assert house.sink.in_flight == 3
    await house.receiver.answer(OK)
    await house.receiver.answer(answered(404))
    await house.receiver.answer(answered(500))
    counts = house.sink.counts
    assert counts.events == 4
    assert counts.attempts == {"2xx": 1, "4xx": 1, "5xx": 1}
    assert counts.retried == {"1m": 2}
    assert house.sink.in_flight == 0


CALLBACK = MessageCallback(
    event_id="evt_9",
    account="acme",
    url="https://sender.example.com/callback",
    message_id="m-1",
    unique_args={"a": "1"},
    event="delivered",
    to="+15550001111",
    timestamp=START,
)


async def test_a_callback_is_sent_to_its_url_unsigned_and_tried_again(house: House) -> None:
    house.accounts.put(AccountConfig(id="acme", name="Acme"))
    await house.give(CALLBACK)
    [request] = house.receiver.requests
    assert (request.url, request.headers) == (CALLBACK.url, {"webhook-id": "evt_9"})
    await house.receiver.answer(answered(500))
    [task] = house.written("webhooks_retry.1m")
    assert (task.endpoint, task.url, task.contact) == ("acme/~sender.example.com", CALLBACK.url, "+15550001111")
    await house.give(task, headers=TaskHeaders(2, 7, 8, "o").encode())
    assert (house.receiver.requests[1].url, house.receiver.requests[1].body) == (CALLBACK.url, task.body)


async def test_a_callback_is_signed_with_the_accounts_secret_as_soon_as_there_is_one(house: House) -> None:
    house.accounts.put(AccountConfig(id="acme", name="Acme"))
    await house.give(CALLBACK)
    await house.receiver.answer(OK)
    house.accounts.put(AccountConfig(id="acme", name="Acme", callback_secret="s3cret"))
    house.sink.on_change("config_accounts", "acme")
    await house.give(CALLBACK)
    names = [sorted(request.headers) for request in house.receiver.requests]
    assert names[0] == ["webhook-id"]
    assert names[1] == ["X-Trackly-Signature", "webhook-id", "webhook-signature", "webhook-timestamp"]


async def test_a_callback_to_a_url_that_is_gone_is_a_dead_letter_at_once(house: House) -> None:
    house.accounts.put(AccountConfig(id="acme", name="Acme"))
    await house.give(CALLBACK)
    await house.receiver.answer(answered(410))
    [dead] = house.written("webhooks_dead")
    assert (dead.url, dead.attempts, dead.last_status) == (CALLBACK.url, 1, 410)


async def test_lanes_of_callback_hosts_do_not_pile_up(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.webhooks.sink.CALLBACK_LANES", 10)
    house.accounts.put(AccountConfig(id="acme", name="Acme"))
    for number in range(50):
        await house.give(replace(CALLBACK, url=f"https://h{number}.example.com/"))
        await house.receiver.answer(OK)
    assert len(house.sink.lanes) <= 12
    assert len(house.receiver.requests) == 50


async def test_nor_do_those_with_deferred_callbacks_that_another_process_took(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.webhooks.sink.CALLBACK_LANES", 10)
    house.accounts.put(AccountConfig(id="acme", name="Acme"))
    for number in range(17):
        await house.give(replace(CALLBACK, to=f"+1{number}"))
        [lane] = house.sink.lanes
        house.sink.lanes[lane].workers.latency = 60.0
    assert len(house.written("webhooks_retry.1m")) == 1
    await house.receiver.answer_all(OK)
    await house.clock.move(100.0)
    for number in range(20):
        await house.give(replace(CALLBACK, url=f"https://h{number}.example.com/"))
        await house.receiver.answer(OK)
    assert lane not in house.sink.lanes


async def test_every_attempt_is_logged_with_what_follows(house: House) -> None:
    await house.give(delivered("evt_1"), delivered("evt_2", to=None))
    await house.clock.move(0.25)
    await house.receiver.answer(answered(500, head="no"))
    await house.receiver.answer(OK)
    await house.attempts.flush()
    failed, taken = house.written("webhooks_attempts")
    assert (failed.status, failed.latency_ms, failed.response_head) == (500, 250, "no")
    assert (failed.next_attempt_at, failed.final) == (START + 250 + 60_000, False)
    assert (taken.event_id, taken.status, taken.error_class, taken.final) == ("evt_2", 200, None, True)


async def test_an_endpoint_takes_only_the_delays_that_it_wants(house: House) -> None:
    house.configure(endpoint(retry_schedule=("5m",)))
    await house.give(delivered("evt_1"))
    await house.receiver.answer(answered(500))
    [task] = house.written("webhooks_retry.5m")
    await house.give(task, headers=TaskHeaders(2, 7, 8, "o").encode())
    await house.receiver.answer(answered(500))
    assert len(house.written("webhooks_dead")) == 1


async def test_what_is_no_retry_waits_for_a_delay_of_the_deployment(house: House) -> None:
    house.configure(endpoint(retry_schedule=("5m",), rate_limit=0.1))
    await house.give(*[delivered(f"evt_{n}", to=None) for n in range(8)])
    assert [headers.attempt for headers in house.headers_of("webhooks_retry.1m")] == [1, 1]


async def test_events_of_a_batch_settle_together_and_are_tried_again_as_the_same_bytes(house: House) -> None:
    house.configure(endpoint(batch_events=2))
    await house.give(delivered("evt_1", to="+1"), delivered("evt_2", to="+2"))
    [request] = house.receiver.requests
    assert request.body == b"[%b,%b]" % (body_of(delivered("evt_1", to="+1")), body_of(delivered("evt_2", to="+2")))
    house.kafka.acknowledges = False
    await house.receiver.answer(answered(500))
    [task] = house.written("webhooks_retry.1m")
    assert (task.body, task.event, task.event_id) == (request.body, "batch", request.headers["webhook-id"])
    assert house.ledger.durable == 0
    house.kafka.open[0].set_result(None)
    await settled()
    assert (house.ledger.durable, house.sink.window.events) == (2, 0)
    await house.give(task, headers=TaskHeaders(2, 7, 8, "o").encode())
    assert house.receiver.requests[1].body == request.body
    await house.receiver.answer(OK)
    assert house.ledger.durable == 3


async def test_an_event_that_waits_for_its_paused_endpoint_keeps_the_layout_of_a_batch(house: House) -> None:
    house.configure(endpoint(batch_events=2, enabled=False))
    await house.give(delivered("evt_1"))
    [task] = house.written("webhooks_parked")
    assert task.body == b"[%b]" % body_of(delivered("evt_1"))
    assert task.event_id == "evt_1"


async def test_an_endpoint_that_fails_for_long_is_paused_and_its_webhooks_wait(house: House) -> None:
    for number in range(3):
        await house.give(delivered(f"evt_{number}", to=None))
        await house.clock.move(30.0)
        await house.receiver.answer(answered(404))
    assert house.accounts.endpoints["acme/crm"].paused_reason == "failing"
    assert [alert.event for alert in house.alerts] == ["endpoint.paused"]
    await house.give(delivered("evt_9"))
    assert house.written("webhooks_parked")[-1].event_id == "evt_9"
    assert len(house.receiver.requests) == 3


async def test_failures_that_an_open_breaker_stands_for_count_towards_a_pause(house: House) -> None:
    for number in range(2):
        await house.give(delivered(f"evt_{number}", to=None))
        await house.receiver.answer(answered(404))
    for _ in range(FAILURES):
        house.sink.lanes["acme/crm"].breaker.record(True, 0.0)
    await house.clock.move(60.0)
    house.sink.lanes["acme/crm"].breaker.take_probe(60.0)
    house.sink.deferred(Delivery("acme/crm", "x", "delivery", b"", None, house.sink.window.admit(ledger(), 0, 0, 1)),
                        "breaker_open")  # fmt: skip
    await settled()
    assert house.accounts.endpoints["acme/crm"].paused_reason == "failing"


async def test_gone_pauses_the_endpoint_and_the_webhook_itself_waits(house: House) -> None:
    await house.give(delivered("evt_1"))
    await house.receiver.answer(answered(410))
    assert house.accounts.endpoints["acme/crm"].paused_reason == "gone"
    [headers] = house.headers_of("webhooks_retry.5m")
    assert headers.attempt == 2


async def test_gone_at_the_old_url_does_not_pause_the_new_one(house: House) -> None:
    await house.give(delivered("evt_1"))
    house.configure(endpoint(url="https://new.example.com/hook"))
    await house.receiver.answer(answered(410))
    await house.give(delivered("evt_2", to="+15559999999"))
    assert house.accounts.endpoints["acme/crm"].enabled
    assert [request.url for request in house.receiver.open] == ["https://new.example.com/hook"]
    assert len(house.written("webhooks_retry.5m")) == 1


async def test_a_receiver_that_asks_for_no_more_has_what_it_took_and_the_rest_waits(house: House) -> None:
    await house.give(delivered("evt_1"))
    await house.receiver.answer(answered(200, asked=("disable",)))
    await house.give(delivered("evt_2"))
    assert house.accounts.endpoints["acme/crm"].paused_reason == "receiver"
    assert (house.receiver.ids, house.receiver.open) == (["evt_1"], [])
    assert [record.event_id for record in house.written("webhooks_parked")] == ["evt_2"]
    await house.attempts.flush()
    [attempt] = house.written("webhooks_attempts")
    assert (attempt.error_class, attempt.asked, attempt.final) == (None, "disable", True)


async def test_a_webhook_whose_receiver_wants_no_further_attempt_is_a_dead_letter(house: House) -> None:
    await house.give(delivered("evt_1"))
    await house.receiver.answer(answered(503, 10.0, asked=("abort-message",)))
    [dead] = house.written("webhooks_dead")
    assert (dead.error_class, dead.last_status, dead.attempts) == ("aborted", 503, 1)
    assert house.accounts.endpoints["acme/crm"].enabled
    await house.attempts.flush()
    [attempt] = house.written("webhooks_attempts")
    assert (attempt.error_class, attempt.asked, attempt.final) == ("aborted", "abort-message", True)


async def test_a_webhook_that_is_aborted_by_who_wants_no_more_does_not_wait(house: House) -> None:
    await house.give(delivered("evt_1"))
    await house.receiver.answer(answered(500, asked=("disable", "abort-message")))
    assert house.accounts.endpoints["acme/crm"].paused_reason == "receiver"
    assert [dead.error_class for dead in house.written("webhooks_dead")] == ["aborted"]


async def test_webhooks_of_a_paused_endpoint_are_warned_of_and_then_given_up(house: House) -> None:
    house.configure(endpoint(enabled=False))
    task = WebhookTask("acme/crm", "evt_1", "delivery", b"{}")
    for age in (6.5, 7.0):
        parked_at = START - round(age * 86_400_000)
        await house.give(task, headers=TaskHeaders(1, None, START, "o", parked_at=parked_at).encode())
    assert [alert.event for alert in house.alerts] == ["endpoint.expiring"]
    [headers] = house.headers_of("webhooks_parked")
    assert headers.parked_at == START - round(6.5 * 86_400_000)
    [dead] = house.written("webhooks_dead")
    assert dead.error_class == "parked_too_long"


async def test_an_alert_reaches_the_other_endpoints_that_want_it(house: House) -> None:
    house.configure(endpoint("ops", events=("endpoint.paused",)))
    alert = EndpointAlert(
        event_id="evt_a", account="acme", endpoint="crm", event="endpoint.paused", reason="gone", since=0, timestamp=0
    )
    await house.give(alert)
    [request] = house.receiver.requests
    assert (request.url, request.headers["webhook-id"]) == ("https://ops.example.com/hook", "evt_a")
