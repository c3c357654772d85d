"""The loop that reads for sinks: what it passes them, and when it commits what they have settled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

import sinks.consumer
from bus.memory import CATALOGUE, MemoryKafka, Record
from bus.settings import BusSettings
from sinks.consumer import OLDEST_MS, SinkConsumer
from tests.clock import START, MovedClock

TOPIC = CATALOGUE["alerts"].name
GROUP = BusSettings().group("listed")


class Listed:
    """A sink that lists its records, and settles all of them unless told to hold them."""

    topics, alone, from_now_on, gather_bytes = ("alerts",), False, False, 1

    def __init__(self) -> None:
        self.values: list[bytes | None] = []
        self.is_wanted = asyncio.Event()
        self.is_wanted.set()
        self.holds = self.stopped = False
        self.fails: list[Exception] = []
        self._positions: dict[Any, int] = {}

    async def wanted(self) -> None:
        await self.is_wanted.wait()

    def take(self, found: Mapping[Any, list[Record]]) -> None:
        if found and self.fails:
            raise self.fails.pop()
        for partition, records in found.items():
            self.values += [record.value for record in records]
            self._positions[partition] = records[-1].offset + 1

    def settled(self) -> Mapping[Any, int]:
        return {} if self.holds else dict(self._positions)

    async def hand_over(self) -> Mapping[Any, int]:
        return dict(self._positions)

    async def stop(self) -> None:
        self.stopped = True


class House:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kafka, self.sink = MemoryKafka(), Listed()
        self.kafka.readers(monkeypatch)
        monkeypatch.setattr(sinks.consumer, "RESTART_SECONDS", 0.001)
        self.reader = SinkConsumer("listed", self.sink, BusSettings(), MovedClock())

    def write(self, *values: bytes, at: int = START) -> None:
        log = self.kafka.logs[TOPIC, 0]
        for value in values:
            log.append(Record(TOPIC, 0, len(log), b"acme", value, at))

    @property
    def committed(self) -> list[int]:
        return list(self.kafka.committed.get(GROUP, {}).values())

    async def until(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(2):
            while not happened():
                await asyncio.sleep(0.001)


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    return House(monkeypatch)


async def test_a_sink_gets_what_is_there_and_what_it_settles_is_committed(house: House) -> None:
    house.write(b"1", b"2")
    house.reader.start()
    await house.until(lambda: house.committed == [2])
    assert house.sink.values == [b"1", b"2"]
    await house.reader.stop()
    assert house.sink.stopped


async def test_nothing_is_read_before_it_is_wanted(house: House) -> None:
    house.write(b"1")
    house.sink.is_wanted.clear()
    house.reader.start()
    await asyncio.sleep(0.01)
    assert GROUP not in house.kafka.committed
    house.sink.is_wanted.set()
    await house.until(lambda: house.sink.values == [b"1"])
    await house.reader.stop()


async def test_what_is_settled_at_the_end_is_committed_then(house: House) -> None:
    house.sink.holds = True
    house.write(b"1")
    house.reader.start()
    await house.until(lambda: house.sink.values == [b"1"])
    assert house.committed == []
    await house.reader.stop()
    assert house.committed == [1]


async def test_what_is_old_is_passed_over(house: House) -> None:
    house.write(b"old", at=START - OLDEST_MS - 1)
    house.write(b"recent")
    house.reader.start()
    await house.until(lambda: house.sink.values == [b"recent"])
    await house.reader.stop()


@pytest.mark.parametrize("error", [KafkaConnectionError("gone"), RuntimeError("a bug")])
async def test_a_sink_that_fails_is_read_for_again(house: House, error: Exception) -> None:
    house.sink.fails = [error]
    house.write(b"1")
    house.reader.start()
    await house.until(lambda: house.sink.values == [b"1"])
    await house.reader.stop()
