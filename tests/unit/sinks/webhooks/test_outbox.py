from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError

from bus.memory import MemoryKafka
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.records import WebhookTask
from sinks.webhooks.outbox import Outbox, Outgoing
from sinks.webhooks.window import Admission
from tests.clock import settled
from tests.unit.sinks.sink_parts import ledger

CODEC = Codec(FolderRegistry())


class Seen:
    """What the outbox reported."""

    def __init__(self) -> None:
        self.settled: list[int] = []
        self.too_large: list[int] = []
        self.broken: list[BaseException] = []


@pytest.fixture
def kafka() -> MemoryKafka:
    """Takes records; the test acknowledges them."""
    kafka = MemoryKafka()
    kafka.acknowledges = False
    return kafka


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
async def outbox(kafka: MemoryKafka, seen: Seen) -> AsyncIterator[Outbox]:
    outbox = Outbox(
        kafka,
        CODEC,
        settled=lambda admission: seen.settled.append(admission.offset),
        too_large=lambda outgoing: seen.too_large.append(outgoing.admission.offset),
        broken=seen.broken.append,
    )
    outbox.start()
    yield outbox
    outbox.stop()
    await settled()


def outgoing(offset: int) -> Outgoing:
    task = WebhookTask("acme/crm", f"evt_{offset}", "delivery", b"{}")
    return Outgoing("waiting", task, b"acme/crm", [], Admission(ledger(), offset, 0, 1))


async def test_records_are_sent_in_order_without_waiting_for_acknowledgments(
    outbox: Outbox, kafka: MemoryKafka
) -> None:
    for offset in range(3):
        outbox.put(outgoing(offset))
    await settled()
    ids = [CODEC.decode_as(WebhookTask, record.value or b"").event_id for record in kafka.sent]
    assert ids == ["evt_0", "evt_1", "evt_2"]
    assert {(record.topic, record.key) for record in kafka.sent} == {("waiting", b"acme/crm")}


async def test_a_record_settles_when_it_is_acknowledged(outbox: Outbox, kafka: MemoryKafka, seen: Seen) -> None:
    outbox.put(outgoing(0))
    outbox.put(outgoing(1))
    await settled()
    assert seen.settled == []
    kafka.open[1].set_result(None)
    await settled()
    assert seen.settled == [1]


async def test_it_goes_on_after_a_pause(outbox: Outbox, kafka: MemoryKafka) -> None:
    for offset in range(3):
        outbox.put(outgoing(offset))
        await settled()
    assert len(kafka.sent) == 3


@pytest.mark.parametrize("at_once", [True, False])
async def test_what_is_too_large_is_reported_and_stops_nothing(
    outbox: Outbox, kafka: MemoryKafka, seen: Seen, at_once: bool
) -> None:
    kafka.refuses = MessageSizeTooLargeError() if at_once else None
    outbox.put(outgoing(0))
    await settled()
    kafka.refuses = None
    if not at_once:
        kafka.open[0].set_exception(MessageSizeTooLargeError())
    outbox.put(outgoing(1))
    await settled()
    kafka.open[-1].set_result(None)
    await settled()
    assert (seen.too_large, seen.settled, seen.broken) == ([0], [1], [])


@pytest.mark.parametrize("at_once", [True, False])
async def test_any_other_error_breaks_it(outbox: Outbox, kafka: MemoryKafka, seen: Seen, at_once: bool) -> None:
    error = KafkaTimeoutError()
    kafka.refuses = error if at_once else None
    outbox.put(outgoing(0))
    await settled()
    if not at_once:
        kafka.open[0].set_exception(error)
        await settled()
    assert (seen.broken, seen.settled) == ([error], [])
