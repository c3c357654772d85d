"""How long a callback waits for Kafka, and when it is refused at once."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

import ingest.writer
from bus.memory import CATALOGUE, CODEC, MemoryKafka
from ingest.app import longest_wait
from ingest.writer import STICKY_RECORDS, CallbackWriter, NotStored
from providers import NETWORKS, PROVIDERS
from schemas.records import RawCallback

RAW = RawCallback("evt_1", "twilio", "acme", "POST", "/", "", {}, None, b"{}", "127.0.0.1", 1)


class Door:
    """A writer over an in-memory Kafka, whose probes are due when a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, usual: float = 2.0) -> None:
        self.kafka = MemoryKafka()
        self.now = 100.0
        producer: Any = self.kafka
        self.writer = CallbackWriter(producer, CODEC, CATALOGUE["raw"], usual)
        monkeypatch.setattr(ingest.writer, "time", SimpleNamespace(monotonic=lambda: self.now))

    async def takes(self, answer_within: float | None = None) -> bool:
        try:
            await self.writer.write(RAW, None, answer_within)
        except NotStored:
            return False
        return True


@pytest.fixture
async def door(monkeypatch: pytest.MonkeyPatch) -> Door:
    door = Door(monkeypatch)
    await door.writer.start()
    return door


async def test_a_callback_is_refused_at_once_while_another_has_waited_longer_than_it_may(door: Door) -> None:
    door.kafka.waiting = 5.0
    assert await door.takes()  # the first finds out
    sent = len(door.kafka.sent)
    assert [await door.takes() for _ in range(5)] == [False] * 5
    assert len(door.kafka.sent) == sent


async def test_one_callback_a_second_finds_out_whether_kafka_takes_records_again(door: Door) -> None:
    door.kafka.waiting = 5.0
    taken = []
    for _ in range(30):
        taken.append(await door.takes())
        door.now += 0.125
    assert sum(taken) == 4


async def test_a_callback_that_may_not_come_again_waits_longer(door: Door) -> None:
    door.kafka.waiting = 5.0
    assert [await door.takes(13.0) for _ in range(5)] == [True] * 5
    door.kafka.waiting = 13.5
    assert [await door.takes(13.0) for _ in range(5)] == [True] + [False] * 4


async def test_a_callback_waits_as_long_as_its_provider_bears(door: Door) -> None:
    door.kafka.acknowledges = False
    patient = asyncio.create_task(door.takes(0.3))
    assert not await door.takes(0.05)
    door.kafka.acknowledge()
    assert await patient


@pytest.mark.parametrize(
    ("name", "within"),
    [
        ("twilio", 13.0),
        ("lime", 13.0),
        ("eztexting", 13.0),
        ("tune", 13.0),
        ("everflow", 13.0),
        ("infobip", None),
        ("cm", None),
    ],
)
def test_who_may_not_send_again_is_answered_late_rather_than_refused(name: str, within: float | None) -> None:
    assert {**PROVIDERS, **NETWORKS}[name].answer_within == within  # type: ignore[attr-defined]


def test_the_producer_keeps_a_callback_as_long_as_somebody_waits_for_it() -> None:
    assert longest_wait(2.0) == 13.0
    assert longest_wait(20.0) == 20.0


async def test_partitions_that_are_added_meanwhile_are_written_to(door: Door) -> None:
    before = CATALOGUE["raw"].partitions
    door.writer.note_partitions({CATALOGUE["raw"].name: before + 2, "another": 1})
    for _ in range((before + 2) * STICKY_RECORDS):
        assert await door.takes()
    assert {sent.partition for sent in door.kafka.sent} == set(range(before + 2))
    door.writer.note_partitions({})  # whoever answered does not know the topic yet
    assert await door.takes()
