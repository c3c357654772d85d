from __future__ import annotations

import asyncio
from collections.abc import Iterable

from aiokafka.errors import KafkaTimeoutError
from sink_parts import START, ledger, settled

from bus.producer import Keyed, partition_of
from outbound.outcomes import Outcome, answered
from schemas.codec import Codec
from schemas.records import WebhookAttempt
from schemas.registry import FolderRegistry
from sinks.attempts import AttemptLog, attempt_of
from sinks.delivery import Delivery
from sinks.window import Admission

CODEC = Codec(FolderRegistry())


class Kafka:
    """Takes records; the test acknowledges them, or has it refuse them."""

    def __init__(self) -> None:
        self.taken: list[WebhookAttempt] = []
        self.keys: set[bytes] = set()
        self.open: list[asyncio.Future[None]] = []
        self.refuses = False

    async def partitions(self, topic: str) -> int:
        return 4

    async def send_batch(self, topic: str, partition: int, records: Iterable[Keyed]) -> None:
        if self.refuses:
            raise KafkaTimeoutError
        for record in records:
            assert partition_of(record.key, 4) == partition
            self.taken.append(CODEC.decode_as(WebhookAttempt, record.value))
            self.keys.add(record.key)
        self.open.append(asyncio.get_running_loop().create_future())
        await self.open[-1]

    def acknowledge(self) -> None:
        for future in self.open:
            if not future.done():
                future.set_result(None)


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


async def test_attempts_are_written_in_order_under_their_endpoint() -> None:
    kafka = Kafka()
    attempts = AttemptLog(kafka, CODEC, "attempts")
    for number in range(3):
        attempts.put(attempt(number))
    flushing = asyncio.ensure_future(attempts.flush())
    await settled()
    assert not flushing.done()
    kafka.acknowledge()
    await flushing
    assert [each.event_id for each in kafka.taken] == ["evt_0", "evt_1", "evt_2"]
    assert kafka.keys == {b"acme/crm"}
    assert attempts.lost == 0


async def test_what_waits_is_bounded_and_what_is_lost_is_counted() -> None:
    kafka = Kafka()
    attempts = AttemptLog(kafka, CODEC, "attempts", waiting=2)
    for number in range(5):
        attempts.put(attempt(number))
    assert attempts.lost == 3
    kafka.refuses = True
    await attempts.flush()
    assert attempts.lost == 5


async def test_an_attempt_that_is_not_acknowledged_is_lost_and_nothing_else() -> None:
    kafka = Kafka()
    attempts = AttemptLog(kafka, CODEC, "attempts")
    attempts.put(attempt(1))
    attempts.put(attempt(2, endpoint="other/crm"))
    flushing = asyncio.ensure_future(attempts.flush())
    await settled()
    kafka.open[0].set_exception(KafkaTimeoutError())
    kafka.acknowledge()
    await flushing
    assert attempts.lost == 1


async def test_what_waits_is_written_before_it_ends() -> None:
    kafka = Kafka()
    attempts = AttemptLog(kafka, CODEC, "attempts")
    attempts.start()
    attempts.put(attempt(1))
    stopping = asyncio.ensure_future(attempts.stop())
    await settled()
    kafka.acknowledge()
    await stopping
    assert len(kafka.taken) == 1
