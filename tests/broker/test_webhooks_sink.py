"""The webhook sink as a separate process, against a real broker and a receiver that can be made to fail."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from functools import partial
from unittest.mock import Mock

import pytest
from standardwebhooks.webhooks import Webhook

from bus.admin import Admin
from bus.clock import SystemClock
from bus.settings import BusSettings
from outbound.bodies import body_of
from schemas.records import DeadWebhook, RejectedRecord, WebhookAttempt, WebhookTask
from schemas.topics import Catalogue
from sinks.webhooks import delay_tiers
from sinks.webhooks.delay_tiers import DelayTiers
from sinks.webhooks.retry import TaskHeaders
from tests.clock import ShiftedClock
from tests.fork_server import Process
from tests.patience import PATIENCE, Progress
from tests.sink_house import SECRET, Kafka, Receiver, delivered, endpoint, until

pytestmark = [pytest.mark.broker]


async def test_an_event_reaches_every_endpoint_that_wants_it_signed(
    kafka: Kafka, receiver: Receiver, start_sinks: Callable[[], Process]
) -> None:
    await kafka.endpoints(
        endpoint(receiver, "all"),
        endpoint(receiver, "list", lists=("+18005551234",)),
        endpoint(receiver, "other-list", lists=("+18009999999",)),
        endpoint(receiver, "replies", events=("reply",)),
    )
    events = [delivered(number) for number in range(50)]
    await kafka.events(events)
    sinks = start_sinks()
    await until(lambda: sum(map(len, receiver.requests.values())) >= 100)
    sinks.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(sinks.wait, 30) == 0

    assert sum(map(len, receiver.requests.values())) == 100
    for event in events:
        for path in ("/all", "/list"):
            [(_, headers, body)] = receiver.of(path, event.event_id)
            assert body == body_of(event)
            Webhook(SECRET).verify(body, {k.lower(): v for k, v in headers.items()})
    assert await asyncio.to_thread(kafka.lag) == 0


async def test_a_failed_webhook_comes_again_after_its_delay_within_a_tenth_and_never_early(
    kafka: Kafka, receiver: Receiver, start_sinks: Callable[[], Process]
) -> None:
    receiver.answer = lambda path, number: 503 if number < 3 else 200
    await kafka.endpoints(endpoint(receiver, "crm"))
    start_sinks()
    await kafka.events([delivered(1)])
    await until(lambda: len(receiver.of("/crm", "evt_1")) == 3)

    (first, _, body), (second, _, again), (third, _, once_more) = receiver.of("/crm", "evt_1")
    assert 0.9 <= second - first < 30
    assert 1.8 <= third - second < 30
    assert body == again == once_more

    await until(lambda: len(kafka.read("webhooks_attempts")) == 3)
    attempts = [kafka.codec.decode_as(WebhookAttempt, record.value) for record in kafka.read("webhooks_attempts")]
    # What it is to wait, worked out a moment before the attempt is logged.
    waits = [attempt.next_attempt_at - attempt.at for attempt in attempts if attempt.next_attempt_at is not None]
    assert [round(wait / 1_000) for wait in waits] == [1, 2]
    assert all(850 * number <= wait <= 1_100 * number for number, wait in enumerate(waits, 1))
    assert [TaskHeaders.decode(record.headers).due_at for record in kafka.read("webhooks_due")] == [
        attempt.next_attempt_at for attempt in attempts[:2]
    ]


async def test_a_webhook_that_never_succeeds_is_in_the_dead_letters(
    kafka: Kafka, receiver: Receiver, start_sinks: Callable[[], Process]
) -> None:
    receiver.answer = lambda path, number: 400 if path == "/broken" else 200
    await kafka.endpoints(endpoint(receiver, "broken"), endpoint(receiver, "sound"))
    start_sinks()
    await kafka.events([delivered(1)])
    await until(lambda: len(receiver.of("/broken", "evt_1")) == 3)
    await until(lambda: bool(kafka.read("webhooks_dead")))

    [record] = kafka.read("webhooks_dead")
    dead = kafka.codec.decode_as(DeadWebhook, record.value)
    assert record.key == b"acme/broken"
    assert (dead.endpoint, dead.event_id, dead.attempts) == ("acme/broken", "evt_1", 3)
    assert (dead.last_status, dead.error_class) == (400, "http_status")
    assert dead.body == body_of(delivered(1))
    assert dead.origin.startswith(kafka.settings.catalogue["delivery"].name + "/")
    assert dead.died_at - dead.first_attempt_at >= 2_700
    assert len(receiver.of("/sound", "evt_1")) == 1


async def test_a_replayed_task_is_sent_as_it_is(
    kafka: Kafka, receiver: Receiver, start_sinks: Callable[[], Process]
) -> None:
    await kafka.endpoints(endpoint(receiver, "crm"))
    task = WebhookTask("acme/crm", "evt_old", "delivery", b'{"as":"it was"}')
    gone = WebhookTask("acme/gone", "evt_gone", "delivery", b"{}")
    headers = TaskHeaders(attempt=3, first_attempt_at=1, origin="a/0/1").encode()
    for each in (gone, task):
        await kafka.raw("webhooks_due", kafka.codec.encode(each), key=each.endpoint.encode(), headers=headers)
    start_sinks()
    await until(lambda: bool(receiver.of("/crm", "evt_old")))
    [(_, _, body)] = receiver.of("/crm", "evt_old")
    assert body == task.body
    await until(lambda: kafka.lag() == 0)


async def test_what_is_no_event_is_in_the_rejected_topic_and_stops_nothing(
    kafka: Kafka, receiver: Receiver, start_sinks: Callable[[], Process]
) -> None:
    await kafka.endpoints(endpoint(receiver, "crm"))
    for partition in range(4):
        await kafka.raw("delivery", b"garbage", key=b"k", partition=partition)
    await kafka.events([delivered(1)])
    start_sinks()
    await until(lambda: bool(receiver.of("/crm", "evt_1")))
    await until(lambda: len(kafka.read("rejected")) == 4)

    rejected = [kafka.codec.decode_as(RejectedRecord, record.value) for record in kafka.read("rejected")]
    assert {(r.stage, r.reason, r.source_value) for r in rejected} == {("webhooks", "not_decodable", b"garbage")}
    await until(lambda: kafka.lag() == 0)


@pytest.mark.slow
async def test_kills_and_stops_lose_no_webhook(
    kafka: Kafka, receiver: Receiver, start_sinks: Callable[[], Process]
) -> None:
    receiver.answer = lambda path, number: 429 if path == "/flaky" and number == 1 else 200
    await kafka.endpoints(endpoint(receiver, "crm"), endpoint(receiver, "flaky"))
    events = [delivered(number) for number in range(3_000)]
    workers = [start_sinks(), start_sinks()]
    for number, ending in enumerate([signal.SIGKILL, signal.SIGTERM, signal.SIGKILL]):
        await kafka.events(events[number * 1_000 : (number + 1) * 1_000])
        await until(partial(receiver.has_seen, number * 2_000 + 200))
        worker = workers.pop(0)
        worker.send_signal(ending)
        await asyncio.to_thread(worker.wait, PATIENCE)
        workers.append(start_sinks())

    def missing() -> int:
        once = sum(1 for e in events if not receiver.of("/crm", e.event_id))
        return once + sum(1 for e in events if len(receiver.of("/flaky", e.event_id)) < 2)

    progress = Progress()
    while left := missing():
        progress.look(left, "webhooks are")
        await asyncio.sleep(0.2)
    assert all(body == body_of(e) for e in events for _, _, body in receiver.of("/crm", e.event_id))
    await until(lambda: kafka.lag() == 0)
    assert kafka.read("webhooks_dead") == []


class WatchedClock(ShiftedClock):
    """Counts how often it was checked."""

    looks = 0

    def monotonic(self) -> float:
        self.looks += 1
        return super().monotonic()

    async def looked_at(self) -> None:
        """Wait until every delay topic has been checked again at least twice: three are checked, three times each
        round.
        """
        enough = self.looks + 40
        await until(lambda: self.looks >= enough)


async def test_a_delay_tier_releases_when_the_time_has_passed_whatever_the_wall_clock_says_and_unchanged(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the delay topic is from an earlier schedule, with records still waiting in it."""
    prefix = kafka.settings.topic_prefix
    earlier = Catalogue(prefix, 4, ("1h",))
    with Admin(kafka.settings, PATIENCE) as admin:
        admin.apply(earlier)
    monkeypatch.setattr(delay_tiers, "LONGEST_WAIT", 0.05)
    clock = WatchedClock()
    crashes: list[BaseException] = []

    async def crash(error: BaseException) -> None:
        crashes.append(error)

    now = clock.now_ms()
    waiting = earlier["webhooks_retry.1h"].name
    for number in range(3):
        headers = TaskHeaders(2, now, now + 3_600_000 + number * 60_000, f"a/0/{number}").encode()
        sent = await kafka.producer.send(waiting, b"value %d" % number, key=b"acme/crm", headers=headers)
        await sent

    tiers = DelayTiers(kafka.settings, kafka.producer, clock, crash, Mock())
    await tiers.start()
    try:
        assert sorted(tier.group.removeprefix(prefix) for tier in tiers.tiers) == [
            "trackly-delay-1h",
            "trackly-delay-1s",
            "trackly-delay-2s",
        ]
        await until(lambda: sum(len(held) for tier in tiers.tiers for held in tier._held.values()) == 3)
        clock.passed = 3_590.0
        for clock.stepped in (7_200.0, -7_200.0):
            await clock.looked_at()
            assert kafka.read("webhooks_due") == []
        clock.passed = 3_600.0 + 61.0
        await until(lambda: len(kafka.read("webhooks_due")) == 2)
        await clock.looked_at()
        released = kafka.read("webhooks_due")
    finally:
        await tiers.stop()
    assert [record.value for record in released] == [b"value 0", b"value 1"]
    assert {record.key for record in released} == {b"acme/crm"}
    assert [TaskHeaders.decode(record.headers).origin for record in released] == ["a/0/0", "a/0/1"]
    assert crashes == []
    with Admin(kafka.settings, PATIENCE) as admin:
        assert sum(admin.lag(f"{prefix}trackly-delay-1h").values()) == 1


async def test_a_schedule_without_its_topics_is_refused(kafka: Kafka) -> None:
    settings = BusSettings(
        bootstrap_servers=kafka.settings.bootstrap_servers,
        topic_prefix=kafka.settings.topic_prefix,
        retry_schedule=("1s", "7m"),
    )

    async def crash(error: BaseException) -> None:
        raise AssertionError from error

    tiers = DelayTiers(settings, kafka.producer, SystemClock(), crash, Mock())
    with pytest.raises(RuntimeError, match=r"retry\.7m: no such topic.*trackly topics apply"):
        await tiers.start()


async def test_an_orderly_restart_repeats_nothing_at_a_fast_endpoint_beside_a_slow_one(
    kafka: Kafka, receiver: Receiver, start_sinks: Callable[..., Process]
) -> None:
    await kafka.endpoints(endpoint(receiver, "fast"), endpoint(receiver, "slow", rate_limit=10.0))
    first = start_sinks()
    count = 200
    await kafka.events([delivered(number) for number in range(count)])
    await until(lambda: sum(len(receiver.of("/fast", f"evt_{number}")) for number in range(count)) == count)
    assert _taken(receiver, "/slow") < 100
    first.terminate()
    first.wait(PATIENCE)
    start_sinks()
    await until(lambda: _taken(receiver, "/slow") == count)
    assert sum(len(receiver.of("/fast", f"evt_{number}")) for number in range(count)) == count


def _taken(receiver: Receiver, path: str) -> int:
    return sum(key.startswith(path) for key in receiver.requests)
