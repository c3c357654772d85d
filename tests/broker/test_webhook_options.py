"""Beyond delivery: callbacks, the log of attempts, pauses, limits, batches, raw forwarding."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections import Counter
from collections.abc import Callable

import pytest
from msgspec.structs import replace
from standardwebhooks.webhooks import Webhook

from accounts.model import Accounts
from bus.admin import Admin
from bus.embedded.broker import free_port
from schemas.records import (
    AccountConfig,
    DeliveryEvent,
    EndpointConfig,
    ListConfig,
    MessageCallback,
    Receipt,
    WebhookAttempt,
    WebhookTask,
)
from sinks.webhooks.attempt_log import answered_since
from sinks.webhooks.retry import TaskHeaders
from tests.fork_server import Process
from tests.patience import PATIENCE
from tests.sink_house import SECRET, Kafka, Receiver, delivered, endpoint, until, until_ready

pytestmark = [pytest.mark.broker]

StartSinks = Callable[..., Process]
SOON = {"TRACKLY_PAUSE_FAILURES": "5", "TRACKLY_PAUSE_SECONDS": "1"}


def callback(number: int, url: str) -> MessageCallback:
    return MessageCallback(
        event_id=f"evt_c{number}",
        account="acme",
        url=url,
        message_id=f"m{number}",
        unique_args={"campaign": "spring"},
        event="delivered",
        to="+15550001111",
        timestamp=1_705_314_600_000,
    )


async def test_a_callback_reaches_the_messages_own_url_signed_and_is_tried_again(
    kafka: Kafka, receiver: Receiver, start_sinks: StartSinks
) -> None:
    receiver.answer = lambda path, number: 503 if number == 1 else 200
    await kafka.endpoints(AccountConfig(id="acme", name="Acme", callback_secret=SECRET))
    start_sinks()
    await kafka.events([callback(1, f"{receiver.url}/callback")], "callbacks")
    await until(lambda: len(receiver.of("/callback", "evt_c1")) == 2)
    for _, headers, body in receiver.of("/callback", "evt_c1"):
        assert body == b'{"id":"m1","uniqueArgs":{"campaign":"spring"},"event":"delivered"}'
        Webhook(SECRET).verify(body, {k.lower(): v for k, v in headers.items()})


async def test_every_attempt_is_in_the_log_when_the_sink_has_stopped(
    kafka: Kafka, receiver: Receiver, start_sinks: StartSinks
) -> None:
    receiver.answer = lambda path, number: 400 if number == 1 else 200
    await kafka.endpoints(endpoint(receiver, "crm"))
    sinks = start_sinks()
    await kafka.events([delivered(number) for number in range(200)])
    await until(lambda: sum(len(requests) == 2 for requests in receiver.requests.values()) == 200)
    sinks.send_signal(signal.SIGTERM)
    await asyncio.to_thread(sinks.wait, PATIENCE)
    attempts = [kafka.codec.decode_as(WebhookAttempt, record.value) for record in kafka.read("webhooks_attempts")]
    assert {record.key for record in kafka.read("webhooks_attempts")} == {b"acme/crm"}
    first = {attempt.event_id: attempt for attempt in attempts if attempt.attempt == 1}
    second = {attempt.event_id: attempt for attempt in attempts if attempt.attempt == 2}
    assert len(attempts) == 400
    assert len(first) == len(second) == 200
    assert {(a.status, a.error_class, a.final) for a in first.values()} == {(400, "http_status", False)}
    assert {(a.status, a.error_class, a.final) for a in second.values()} == {(200, None, True)}
    assert all(second[i].at >= (first[i].next_attempt_at or 0) for i in first)


async def test_an_endpoint_that_fails_is_paused_its_owner_told_and_nothing_is_lost(
    kafka: Kafka, receiver: Receiver, start_sinks: StartSinks
) -> None:
    sound = False
    receiver.answer = lambda path, number: 200 if sound or path in ("/ops", "/discord") else 500
    crm = endpoint(receiver, "crm")
    ops = endpoint(receiver, "ops", events=("endpoint.paused", "endpoint.recovered"))
    discord = f"{receiver.url}/discord"
    await kafka.endpoints(AccountConfig(id="acme", name="Acme", discord_webhook_url=discord), crm, ops)
    # Both have their partitions before it matters: a process that joins later may upset the order.
    ports = [free_port(), free_port()]
    for port in ports:
        start_sinks(TRACKLY_SINKS_PORT=str(port), **SOON)
    await until_ready(*ports)

    def told() -> list[str]:
        return [
            json.loads(requests[0][2])["event"]
            for path, requests in receiver.requests.items()
            if path.startswith("/ops")
        ]

    number, until_told = 0, time.monotonic() + PATIENCE
    while not told():
        await kafka.events([delivered(number + n) for n in range(5)])
        number += 5
        await asyncio.sleep(0.2)
        assert time.monotonic() < until_told
    await until(lambda: config_of(kafka, "acme/crm").paused_reason == "failing")
    paused = config_of(kafka, "acme/crm")
    assert not paused.enabled
    assert replace(paused, enabled=True, paused_reason=None, paused_at=None) == crm

    waiting = [replace(delivered(1_000 + n), to="+15550000001") for n in range(20)]
    await kafka.events(waiting)
    # From one look at what waits to the next nothing is tried, once what was under way has come.
    looks, before, tried = 1, -1, 0
    while before != tried:
        before = tried
        await until(lambda looks=looks: _looks(kafka, waiting) >= looks)  # type: ignore[misc]
        looks, tried = looks + 1, _requests(receiver, "/crm")
    assert not any(receiver.of("/crm", event.event_id) for event in waiting)
    # What is told within three seconds of the pause would be gathered into one message with it.
    await until(lambda: bool(receiver.requests["/discord"]))

    sound = True
    await kafka.endpoints(crm)
    await until(lambda: all(receiver.of("/crm", event.event_id) for event in waiting))
    came = sorted((receiver.of("/crm", event.event_id)[0][0], event.event_id) for event in waiting)
    assert [event_id for _, event_id in came] == [event.event_id for event in waiting]
    await until(lambda: sorted(told()) == ["endpoint.paused", "endpoint.recovered"])
    titles = ["Webhook endpoint acme/crm is paused", "Webhook endpoint acme/crm answers again"]
    # The second one comes within a minute of the first.
    await until(
        lambda: [json.loads(body)["embeds"][0]["title"] for _, _, body in receiver.requests["/discord"]] == titles
    )
    await until(lambda: kafka.lag() == 0)
    dead = {kafka.codec.decode(record.value).event_id for record in kafka.read("webhooks_dead")}
    assert {f"evt_{n}" for n in range(number) if not _taken(receiver, f"evt_{n}")} == dead


async def test_what_waits_through_a_long_pause_comes_in_the_order_of_each_contact(
    kafka: Kafka, receiver: Receiver, start_sinks: StartSinks
) -> None:
    crm = endpoint(receiver, "crm")
    await kafka.endpoints(replace(crm, enabled=False))
    ports = [free_port(), free_port()]
    for port in ports:
        start_sinks(TRACKLY_SINKS_PORT=str(port))
    await until_ready(*ports)
    # Those of a contact are written at different times between two checks of what is parked.
    events = [delivered(number) for number in range(485)]
    for first in range(0, len(events), 10):
        await kafka.events(events[first : first + 10])
        await asyncio.sleep(0.25)
    await until(lambda: _looks(kafka, events) >= 2)
    assert not _requests(receiver, "/crm")
    await kafka.endpoints(crm)
    await until(lambda: all(receiver.of("/crm", event.event_id) for event in events))
    came = sorted(events, key=lambda event: receiver.of("/crm", event.event_id)[0][0])
    assert sorted(came, key=lambda event: event.to or "") == sorted(events, key=lambda event: event.to or "")


def config_of(kafka: Kafka, key: str) -> EndpointConfig:
    """Return the settings of an endpoint as read from the topic."""
    accounts = Accounts()
    for record in kafka.read("config_endpoints"):
        accounts.put(kafka.codec.decode(record.value))
    return accounts.endpoints[key]


def _requests(receiver: Receiver, path: str) -> int:
    return sum(len(requests) for key, requests in receiver.requests.items() if key.startswith(path))


def _looks(kafka: Kafka, events: list[DeliveryEvent]) -> int:
    """Return how often each of these was deferred so far, at least."""
    tasks = [kafka.codec.decode(record.value) for record in kafka.read("webhooks_parked")]
    put_off = Counter(task.event_id for task in tasks if isinstance(task, WebhookTask))
    return min(put_off[event.event_id] for event in events)


def _taken(receiver: Receiver, event_id: str) -> bool:
    return any(answer == 200 for answer in receiver.answers.get("/crm" + event_id, []))


async def test_two_processes_together_keep_the_rate_limit_of_an_endpoint(
    kafka: Kafka, receiver: Receiver, start_sinks: StartSinks
) -> None:
    await kafka.endpoints(endpoint(receiver, "crm", rate_limit=20.0))
    ports = [free_port(), free_port()]
    for port in ports:
        start_sinks(TRACKLY_SINKS_PORT=str(port))
    await until_ready(*ports)
    await kafka.events([delivered(number) for number in range(100)])
    await until(lambda: len(kafka.read("webhooks_attempts")) == 100)
    attempts = [kafka.codec.decode_as(WebhookAttempt, record.value) for record in kafka.read("webhooks_attempts")]
    times = sorted((attempt.at - attempt.latency_ms) / 1000 for attempt in attempts)
    assert max(sum(at <= other < at + 2 for other in times) for at in times) <= 2 * 20 * 1.1 + 4


async def test_what_waits_for_the_rate_limit_returns_to_the_partitions_of_its_events(
    kafka: Kafka, receiver: Receiver, start_sinks: StartSinks
) -> None:
    await kafka.endpoints(endpoint(receiver, "crm", rate_limit=4.0))
    start_sinks()
    await kafka.events([delivered(number) for number in range(100)])
    await until(lambda: len(receiver.requests) == 100)
    back = [(record.partition, TaskHeaders.decode(record.headers)) for record in kafka.read("webhooks_due")]
    assert len({partition for partition, _ in back}) > 1
    assert all(headers.origin and headers.origin.split("/")[1] == str(partition) for partition, headers in back)


async def test_events_come_in_arrays_where_an_endpoint_wants_them_so(
    kafka: Kafka, receiver: Receiver, start_sinks: StartSinks
) -> None:
    await kafka.endpoints(endpoint(receiver, "crm", batch_events=50))
    await kafka.events([delivered(number) for number in range(300)])
    start_sinks()

    def events() -> list[str]:
        return [event["message_id"] for [(_, _, body)] in receiver.requests.values() for event in json.loads(body)]

    await until(lambda: len(events()) >= 300)
    assert sorted(events()) == sorted(f"message-{number}" for number in range(300))
    assert len(receiver.requests) < 50
    await until(lambda: kafka.lag() == 0)


def _forwarding(kafka: Kafka) -> bool:
    """Whether every partition's starting point for forwarding, its end, is committed."""
    partitions = sum(kafka.settings.catalogue[topic].partitions for topic in ("receipts", "inbound"))
    with Admin(kafka.settings, PATIENCE) as admin:
        return len(admin.group_offsets(kafka.settings.group("forwarding"))) == partitions


async def test_raw_items_are_forwarded_once(kafka: Kafka, receiver: Receiver, start_sinks: StartSinks) -> None:
    receiver.answer = lambda path, number: 500
    url = f"{receiver.url}/raw"
    await kafka.endpoints(
        AccountConfig(id="acme", name="Acme"), ListConfig(account="acme", number="+18005551234", dlr_forward_url=url)
    )
    start_sinks()
    await until(lambda: _forwarding(kafka))
    receipt = Receipt(
        event_id="evt_r",
        account="acme",
        provider="twilio",
        provider_message_id="p1",
        to="+15550001111",
        from_="+18005551234",
        status="delivered",
        status_detail="DELIVERED_TO_HANDSET",
        status_class="delivered",
        provider_status="delivered",
        final=True,
        received_at=1,
        raw="MessageSid=SM1",
    )
    await kafka.raw("receipts", kafka.codec.encode(receipt), key=b"acme:+15550001111")
    await until(lambda: bool(receiver.of("/raw", "")))
    await asyncio.sleep(1.5)  # longer than the first delay of the schedule
    [(_, headers, body)] = receiver.of("/raw", "")
    assert not any(kafka.read(topic) for topic in ("webhooks_due", "webhooks_retry.1s", "webhooks_retry.2s"))
    assert (body, headers["Content-Type"]) == (b"MessageSid=SM1", "application/x-www-form-urlencoded")
    assert not [name for name in headers if "signature" in name.lower()]


@pytest.mark.parametrize("name", ["acme/crm", "acme/a", "acme/erp", "acme/b"])  # in a partition of its own each
@pytest.mark.parametrize(("status", "seconds", "answered"), [(200, -60, True), (200, 60, False), (500, -60, False)])
async def test_the_log_of_attempts_tells_whether_an_endpoint_answered_anybody(
    kafka: Kafka, status: int, seconds: int, answered: bool, name: str
) -> None:
    for endpoint_id, outcome in (("acme/other", 200), (name, status)):
        attempt = WebhookAttempt(
            endpoint=endpoint_id,
            event_id="evt_1",
            event="delivery",
            attempt=1,
            url="https://a.example/",
            status=outcome,
            error_class=None if outcome == 200 else "http_status",
            latency_ms=1,
            request_size=2,
            at=5_000,
            final=True,
        )
        await kafka.raw("webhooks_attempts", kafka.codec.encode(attempt), key=endpoint_id.encode())
    since = round((time.time() + seconds) * 1000)
    assert await answered_since(kafka.settings, kafka.codec, name, since) is answered
