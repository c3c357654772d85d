"""Raw callbacks on a real broker: the one at a position, and nothing if Kafka has none or has deleted it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from bus.producer import Producer
from bus.settings import BusSettings
from console.backends.raw_callbacks import KafkaRawCallbacks
from console.errors import ApiError
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from tests.unit.console.console_parts import raw_callback

pytestmark = pytest.mark.broker

CODEC = Codec(FolderRegistry())


async def write(settings: BusSettings, *bodies: bytes) -> list[Any]:
    """Write callbacks to one partition; returns their positions."""
    producer = Producer(settings)
    await producer.start()
    name = settings.catalogue["raw"].name
    values = [CODEC.encode(raw_callback(body=body)) for body in bodies]
    sent = [await producer.send(name, value, key=b"one partition") for value in values]
    places = await asyncio.gather(*sent)
    await producer.stop()
    return list(places)


def delete_before(settings: BusSettings, partition: int, offset: int) -> None:
    """Delete records from Kafka as retention would."""
    client = KafkaAdminClient(**settings.kafka_python())
    client.delete_records({TopicPartition(settings.catalogue["raw"].name, partition): offset})
    client.close()


async def test_the_callback_at_a_place_is_read_whatever_its_size(bus_settings: BusSettings, topics: None) -> None:
    bodies = [b"first", b"x" * 3_000_000, b"last"]
    places = await write(bus_settings, *bodies)
    raw = KafkaRawCallbacks(bus_settings, CODEC)
    found = await asyncio.gather(*(raw.read(each.topic, each.partition, each.offset) for each in places * 3))
    assert [callback and callback.body for callback in found] == bodies * 3


async def test_there_is_none_past_the_end_in_no_partition_and_in_no_other_topic(
    bus_settings: BusSettings, topics: None
) -> None:
    (place,) = await write(bus_settings, b"only")
    raw = KafkaRawCallbacks(bus_settings, CODEC)
    assert await raw.read(place.topic, place.partition, place.offset + 1) is None
    assert await raw.read(place.topic, 999, 0) is None
    assert await raw.read(bus_settings.catalogue["contacts"].name, place.partition, place.offset) is None


async def test_there_is_none_that_retention_took(bus_settings: BusSettings, topics: None) -> None:
    places = await write(bus_settings, b"old", b"new")
    delete_before(bus_settings, places[1].partition, places[1].offset)
    raw = KafkaRawCallbacks(bus_settings, CODEC)
    assert await raw.read(places[0].topic, places[0].partition, places[0].offset) is None
    kept = await raw.read(places[1].topic, places[1].partition, places[1].offset)
    assert kept is not None
    assert kept.body == b"new"


async def test_a_broker_that_is_away_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.backends.raw_callbacks.TIMEOUT", 0.5)
    settings = BusSettings(bootstrap_servers="localhost:1")
    with pytest.raises(ApiError) as refused:
        await KafkaRawCallbacks(settings, CODEC).read("sms.raw", 0, 0)
    assert refused.value.status == 503
