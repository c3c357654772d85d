"""A copy of a topic: each key's newest value, kept across restarts, and never from another topic of that name."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import NodeNotReadyError
from kafka.admin import KafkaAdminClient

from bus.admin import Admin, UnknownTopic
from bus.layout import TopicMadeAnew
from bus.producer import Producer
from bus.reading.replica import Replica
from bus.settings import BusSettings
from bus.tables.store import MemoryStore, RocksStore, StoreInUse
from tests.patience import PATIENCE

pytestmark = pytest.mark.broker


async def write(settings: BusSettings, *records: tuple[bytes, bytes | None]) -> list[Any]:
    """Write to the topic of contacts; returns the positions."""
    producer = Producer(settings)
    await producer.start()
    sent = [await producer.send(settings.catalogue["contacts"].name, value, key=key) for key, value in records]
    places = await asyncio.gather(*sent)
    await producer.stop()
    return list(places)


def delete_topic(settings: BusSettings) -> None:
    client = KafkaAdminClient(**settings.kafka_python())
    client.delete_topics([settings.catalogue["contacts"].name])
    client.close()


async def caught_up(replica: Replica, places: list[Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        for place in places:
            await replica.reach(place.partition, place.offset)


async def test_the_newest_value_of_each_key_is_there(bus_settings: BusSettings, topics: None) -> None:
    await write(bus_settings, (b"a", b"1"), (b"b", b"1"), (b"c", b"1"))
    replica = Replica(bus_settings, bus_settings.catalogue["contacts"], MemoryStore())
    await replica.start()
    await caught_up(replica, await write(bus_settings, (b"a", b"2"), (b"b", None)))
    assert [replica.get(key) for key in (b"a", b"b", b"c", b"d")] == [b"2", None, b"1", None]
    assert replica.left == 0
    await replica.stop()


async def test_it_may_begin_with_what_was_written_since_a_time(bus_settings: BusSettings, topics: None) -> None:
    first, *_ = await write(bus_settings, (b"a", b"1"), (b"b", b"1"))
    begin = first.timestamp + 60_000
    topic = bus_settings.catalogue["contacts"]
    late = Replica(bus_settings, topic, MemoryStore(), since=lambda: begin)
    early = Replica(bus_settings, topic, MemoryStore(), since=lambda: first.timestamp)
    for replica in (late, early):
        await replica.start()
    places = await write(bus_settings, (b"c", b"1"))
    for replica in (late, early):
        await caught_up(replica, places)
        await replica.stop()
    assert [late.get(key) for key in (b"a", b"b", b"c")] == [None, None, b"1"]
    assert [early.get(key) for key in (b"a", b"b", b"c")] == [b"1", b"1", b"1"]


async def test_after_a_restart_it_goes_on_where_it_was(bus_settings: BusSettings, topics: None, tmp_path: Path) -> None:
    read: list[bytes] = []

    def merge(known: bytes | None, record: Any) -> bytes:
        read.append(record.value)
        value: bytes = record.value
        return value

    for value in (b"1", b"2"):
        places = await write(bus_settings, (b"a", value), (b"b", value))
        replica = Replica(bus_settings, bus_settings.catalogue["contacts"], RocksStore(tmp_path / "copy"), merge)
        await replica.start()
        await caught_up(replica, places)
        assert (replica.get(b"a"), replica.get(b"b")) == (value, value)
        await replica.stop()
    assert sorted(read) == [b"1", b"1", b"2", b"2"]


async def test_records_that_were_fetched_when_kafka_failed_are_fetched_again(
    bus_settings: BusSettings, topics: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = Replica(bus_settings, bus_settings.catalogue["contacts"], MemoryStore())
    await replica.start()
    take, failed = replica._take, []

    async def fail_once(batches: dict[Any, list[Any]]) -> None:
        if batches and not failed:
            failed.append(batches)
            raise NodeNotReadyError
        await take(batches)

    monkeypatch.setattr(replica, "_take", fail_once)
    await caught_up(replica, await write(bus_settings, (b"a", b"1")))
    assert failed
    assert replica.get(b"a") == b"1"
    await replica.stop()


async def test_a_topic_that_was_made_anew_is_not_taken_for_the_old_one(
    bus_settings: BusSettings, topics: None, tmp_path: Path
) -> None:
    replica = Replica(bus_settings, bus_settings.catalogue["contacts"], RocksStore(tmp_path / "copy"))
    await replica.start()
    await replica.stop()
    await asyncio.to_thread(delete_topic, bus_settings)
    await asyncio.to_thread(_apply_until_there, bus_settings)
    replica = Replica(bus_settings, bus_settings.catalogue["contacts"], RocksStore(tmp_path / "copy"))
    with pytest.raises(TopicMadeAnew):
        await replica.start()
    replica.wipe()
    await replica.start()
    await replica.stop()


async def test_a_topic_that_is_not_there_is_named(bus_settings: BusSettings) -> None:
    replica = Replica(bus_settings, bus_settings.catalogue["contacts"], MemoryStore())
    with pytest.raises(UnknownTopic, match=r"sms\.contacts"):
        await replica.start()


async def test_dead_rows_are_purged_and_the_place_in_the_topic_is_kept(bus_settings: BusSettings, topics: None) -> None:
    places = await write(bus_settings, (b"a", b"dead"), (b"b", b"alive"))
    replica = Replica(bus_settings, bus_settings.catalogue["contacts"], MemoryStore())
    await replica.start()
    await caught_up(replica, places)
    assert await replica.purge(lambda row: row == b"dead") == 1
    assert (replica.get(b"a"), replica.get(b"b")) == (None, b"alive")
    await replica.stop()


def test_two_processes_do_not_share_a_directory(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "copy")
    with pytest.raises(StoreInUse, match="TRACKLY_INSTANCE_ID"):
        RocksStore(tmp_path / "copy")
    store.close()


def _apply_until_there(settings: BusSettings) -> None:
    """Recreate the topic once Kafka has deleted it, however long that takes."""
    name = settings.catalogue["contacts"].name
    with Admin(settings, PATIENCE) as admin:
        while name in admin.list_topics():
            pass
        admin.apply(settings.catalogue)
