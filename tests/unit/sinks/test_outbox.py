from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError
from sink_parts import ledger, settled

from schemas.codec import Codec
from schemas.records import WebhookTask
from schemas.registry import FolderRegistry
from sinks.outbox import Outbox, Outgoing
from sinks.window import Admission

CODEC = Codec(FolderRegistry())


class Kafka:
    """Takes records; the test acknowledges them."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes | None, bytes | None]] = []
        self.acknowledgements: list[asyncio.Future[Any]] = []
        self.refuses: KafkaError | None = None

    async def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: object = None,
        partition: int | None = None,
    ) -> asyncio.Future[Any]:
        if self.refuses is not None:
            raise self.refuses
        self.taken.append((topic, value, key))
        self.acknowledgements.append(asyncio.get_running_loop().create_future())
        return self.acknowledgements[-1]

    async def partitions(self, topic: str) -> int:
        return 1


class Seen:
    """What the outbox reported."""

    def __init__(self) -> None:
        self.settled: list[int] = []
        self.too_large: list[int] = []
        self.broken: list[BaseException] = []


@pytest.fixture
def kafka() -> Kafka:
    return Kafka()


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
async def outbox(kafka: Kafka, seen: Seen) -> AsyncIterator[Outbox]:
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


async def test_records_are_sent_in_order_without_waiting_for_acknowledgements(outbox: Outbox, kafka: Kafka) -> None:
    for offset in range(3):
        outbox.put(outgoing(offset))
    await settled()
    ids = [CODEC.decode_as(WebhookTask, value).event_id for _, value, _ in kafka.taken]
    assert ids == ["evt_0", "evt_1", "evt_2"]
    assert {(topic, key) for topic, _, key in kafka.taken} == {("waiting", b"acme/crm")}


async def test_a_record_settles_when_it_is_acknowledged(outbox: Outbox, kafka: Kafka, seen: Seen) -> None:
    outbox.put(outgoing(0))
    outbox.put(outgoing(1))
    await settled()
    assert seen.settled == []
    kafka.acknowledgements[1].set_result(None)
    await settled()
    assert seen.settled == [1]


async def test_it_goes_on_after_a_pause(outbox: Outbox, kafka: Kafka) -> None:
    for offset in range(3):
        outbox.put(outgoing(offset))
        await settled()
    assert len(kafka.taken) == 3


@pytest.mark.parametrize("at_once", [True, False])
async def test_what_is_too_large_is_reported_and_stops_nothing(
    outbox: Outbox, kafka: Kafka, seen: Seen, at_once: bool
) -> None:
    kafka.refuses = MessageSizeTooLargeError() if at_once else None
    outbox.put(outgoing(0))
    await settled()
    kafka.refuses = None
    if not at_once:
        kafka.acknowledgements[0].set_exception(MessageSizeTooLargeError())
    outbox.put(outgoing(1))
    await settled()
    kafka.acknowledgements[-1].set_result(None)
    await settled()
    assert (seen.too_large, seen.settled, seen.broken) == ([0], [1], [])


@pytest.mark.parametrize("at_once", [True, False])
async def test_any_other_error_breaks_it(outbox: Outbox, kafka: Kafka, seen: Seen, at_once: bool) -> None:
    error = KafkaTimeoutError()
    kafka.refuses = error if at_once else None
    outbox.put(outgoing(0))
    await settled()
    if not at_once:
        kafka.acknowledgements[0].set_exception(error)
        await settled()
    assert (seen.broken, seen.settled) == ([error], [])
