from __future__ import annotations

import asyncio

import pytest
from aiokafka.errors import KafkaTimeoutError

from bus.memory import MemoryKafka
from bus.producer import partition_of
from outbound.outcomes import Outcome, answered
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.records import WebhookAttempt
from sinks.webhooks import attempt_log
from sinks.webhooks.attempt_log import AttemptLog, attempt_of
from sinks.webhooks.delivery import Delivery
from sinks.webhooks.window import Admission
from tests.clock import START, settled
from tests.unit.sinks.sink_parts import ledger

CODEC = Codec(FolderRegistry())


@pytest.fixture
def kafka() -> MemoryKafka:
    """Takes records; the test acknowledges them."""
    kafka = MemoryKafka(partitions=4)
    kafka.acknowledges = False
    return kafka


def attempt(
    number: int = 1, outcome: Outcome | None = None, next_at: int | None = None, endpoint: str = "acme/crm"
) -> WebhookAttempt:
    delivery = Delivery(
        endpoint, f"evt_{number}", "delivery", b"{}", "+1", Admission(ledger(), 0, 2, 1), attempt=number
    )
    return attempt_of(delivery, outcome or answered(200), "https://a.example/hook?token=1", 0.0421, START, next_at)


def test_an_attempt_says_what_was_sent_where_and_how_it_ended() -> None:
    assert attempt(2, answered(500, head="no"), START + 60_000) == WebhookAttempt(
        endpoint="acme/crm",
        event_id="evt_2",
        event="delivery",
        attempt=2,
        url="https://a.example/hook",
        status=500,
        error_class="http_status",
        latency_ms=42,
        response_head="no",
        request_size=2,
        at=START,
        next_attempt_at=START + 60_000,
        final=False,
    )


def test_the_last_attempt_says_that_none_follows() -> None:
    assert attempt(6, Outcome(error_class="timeout")).final
    assert attempt(1, answered(200)).final


async def test_attempts_are_written_in_order_under_their_endpoint(kafka: MemoryKafka) -> None:
    attempts = AttemptLog(kafka, CODEC, "attempts")
    for number in range(3):
        attempts.put(attempt(number))
    flushing = asyncio.ensure_future(attempts.flush())
    await settled()
    assert not flushing.done()
    kafka.acknowledge()
    await flushing
    written = [CODEC.decode_as(WebhookAttempt, record.value or b"") for record in kafka.sent]
    assert [each.event_id for each in written] == ["evt_0", "evt_1", "evt_2"]
    assert {(record.key, record.partition) for record in kafka.sent} == {(b"acme/crm", partition_of(b"acme/crm", 4))}
    assert attempts.lost == 0


async def test_what_waits_is_bounded_and_what_is_lost_is_counted(kafka: MemoryKafka) -> None:
    attempts = AttemptLog(kafka, CODEC, "attempts", waiting=2)
    for number in range(5):
        attempts.put(attempt(number))
    assert attempts.lost == 3
    kafka.refuses = KafkaTimeoutError()
    await attempts.flush()
    assert attempts.lost == 5


async def test_an_attempt_that_is_not_acknowledged_is_lost_and_nothing_else(kafka: MemoryKafka) -> None:
    attempts = AttemptLog(kafka, CODEC, "attempts")
    attempts.put(attempt(1))
    attempts.put(attempt(2, endpoint="other/crm"))
    flushing = asyncio.ensure_future(attempts.flush())
    await settled()
    kafka.open[0].set_exception(KafkaTimeoutError())
    kafka.acknowledge()
    await flushing
    assert attempts.lost == 1


async def test_what_waits_is_written_before_it_ends(kafka: MemoryKafka) -> None:
    attempts = AttemptLog(kafka, CODEC, "attempts")
    attempts.start()
    attempts.put(attempt(1))
    stopping = asyncio.ensure_future(attempts.stop())
    await settled()
    kafka.acknowledge()
    await stopping
    assert len(kafka.sent) == 1


class Asked:
    """A log whose topic is asked for its partitions: how often, and whether that fails."""

    def __init__(self, kafka: MemoryKafka, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = 0
        self.fails = False
        self._partitions = kafka.partitions
        monkeypatch.setattr(kafka, "partitions", self._count)
        monkeypatch.setattr(attempt_log, "EVERY", 0.0)
        self.log = AttemptLog(kafka, CODEC, "attempts")

    async def _count(self, topic: str) -> int:
        self.times += 1
        if self.fails:
            raise KafkaTimeoutError
        return await self._partitions(topic)


async def test_while_there_are_no_attempts_nothing_is_done(kafka: MemoryKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(kafka, monkeypatch)
    kafka.acknowledges = True
    asked.log.start()
    await settled()
    asked.log.put(attempt(1))
    await settled()
    assert (asked.times, len(kafka.sent)) == (1, 1)
    await asked.log.stop()


async def test_what_cannot_be_written_is_tried_again_without_another_attempt(
    kafka: MemoryKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(kafka, monkeypatch)
    kafka.acknowledges, asked.fails = True, True
    asked.log.start()
    asked.log.put(attempt(1))
    await settled()
    assert kafka.sent == []
    asked.fails = False
    await settled()
    assert len(kafka.sent) == 1
    await asked.log.stop()
