"""The read model as a service: killed at any moment, it counts each record once; and it can be rebuilt."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, Table, func, select

from bus.clock import now_ms
from bus.producer import Keyed, Producer, partition_of
from bus.settings import BusSettings
from database import tables
from database.read_state import freshness_of
from database.writer_lock import AnotherWrites, writing
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.ids import contact_key, recipient_key
from schemas.records import Record
from tests import read_records as records
from tests.cluster import Cluster
from tests.patience import PATIENCE

pytestmark = pytest.mark.broker

CODEC = Codec(FolderRegistry())
NOW = now_ms()
COPIED = ("messages", "events", "receipts", "contacts", "attempts", "hourly_events", "hourly_attempts")


@pytest.fixture
def cluster(bus_settings: BusSettings, tmp_path: Path, database_url: str) -> Iterator[Cluster]:
    with Cluster(bus_settings, tmp_path, DATABASE_URL=database_url, TRACKLY_READ_MODEL_BATCH="200") as cluster:
        yield cluster


def records_of(index: int) -> list[tuple[str, bytes, Record]]:
    """Yield the records about one message: topic, key, record. Every third report comes twice."""
    key = recipient_key("acme", records.number_of(index))
    event = records.delivery(index, NOW)
    found: list[tuple[str, bytes, Record]] = [
        ("messages", key, records.message(index, NOW)),
        ("receipts", key, records.receipt(index, NOW)),
        ("delivery", key, records.delivery(index, NOW, "pending")),
        ("delivery", key, event),
        ("webhooks_attempts", b"acme/crm", records.attempt(event.event_id, NOW)),
        (
            "contacts",
            contact_key("acme", records.LIST, records.number_of(index)).encode(),
            records.contact(index, NOW, active=index % 2 == 0),
        ),
    ]
    return found + ([("delivery", key, event), found[1]] if index % 3 == 0 else [])


async def write(settings: BusSettings, found: list[tuple[str, bytes, Record]]) -> None:
    producer = Producer(settings)
    await producer.start()
    groups: dict[tuple[str, int], list[Keyed]] = {}
    for topic, key, record in found:
        entry = settings.catalogue[topic]
        place = entry.name, partition_of(key, entry.partitions)
        groups.setdefault(place, []).append(Keyed(key, CODEC.encode(record), []))
    for (topic, partition), keyed in groups.items():
        await producer.send_batch(topic, partition, keyed)
    await producer.stop()


def put(cluster: Cluster, *found: tuple[str, bytes, Record]) -> None:
    asyncio.run(write(cluster.settings, list(found)))


def wait_until(what: Callable[[], bool], timeout: float = PATIENCE, every: float = 0.1) -> None:
    deadline = time.monotonic() + timeout
    while not what():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(every)


def rows_of(engine: Engine, table: Table) -> int:
    with engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def complete_since(engine: Engine, moment: int) -> bool:
    with engine.connect() as connection:
        found = freshness_of(connection)
    return found is not None and (found.caught_up_at or 0) > moment


def wait_complete(engine: Engine) -> None:
    """Wait until the tables contain everything that is on Kafka now."""
    moment = now_ms()
    wait_until(lambda: complete_since(engine, moment))


def content(engine: Engine) -> dict[str, list[Any]]:
    """Return the tables' rows without the database's row numbers."""
    found = {}
    with engine.connect() as connection:
        for name in COPIED:
            table = tables.METADATA.tables[name]
            columns = [column for column in table.columns if column.name not in ("id", "registered_at")]
            found[name] = sorted(map(repr, connection.execute(select(*columns))))
    return found


@pytest.mark.slow
def test_a_service_that_is_killed_at_random_counts_every_record_once(cluster: Cluster, database: Engine) -> None:
    count, chance = 1_500, random.Random(7)
    for first in range(0, count, 300):
        put(cluster, *(each for index in range(first, first + 300) for each in records_of(index)))
        cluster.start("read-model")
        some = 2 * first + chance.randrange(1, 500)
        wait_until(lambda some=some: rows_of(database, tables.events) >= some, every=0.01)  # type: ignore[misc]
        cluster.kill("read-model")
    cluster.start("read-model")
    wait_complete(database)
    cluster.stop("read-model")
    with database.connect() as connection:
        counted = connection.execute(
            select(tables.hourly_events.c.status, func.sum(tables.hourly_events.c.count)).group_by("status")
        )
        assert {status: int(total) for status, total in counted} == {"pending": count, "delivered": count}
        attempts = select(func.sum(tables.hourly_attempts.c.count), func.sum(tables.hourly_attempts.c.latency_ms_sum))
        assert tuple(map(int, connection.execute(attempts).one())) == (count, 10 * count)
        for table, rows in (
            (tables.messages, count), (tables.events, 2 * count), (tables.receipts, count), (tables.attempts, count),
            (tables.contacts, count),
        ):  # fmt: skip
            assert connection.execute(select(func.count()).select_from(table)).scalar_one() == rows, table.name
        state = select(tables.messages.c.status, tables.messages.c.message_id.startswith("m-")).distinct()
        assert [tuple(row) for row in connection.execute(state)] == [("delivered", True)]


def test_a_rebuild_gives_the_same_rows(cluster: Cluster, database: Engine) -> None:
    put(cluster, *(each for index in range(300) for each in records_of(index)))
    cluster.start("read-model")
    wait_complete(database)
    refused = cluster.trackly("read-model", "rebuild", "--yes")
    assert (refused.returncode, "stop `trackly read-model` first" in refused.stderr) == (1, True)
    cluster.stop("read-model")
    before = content(database)
    done = cluster.trackly("read-model", "rebuild", "--yes", "--json")
    assert (done.returncode, json.loads(done.stdout)["passed_over"]) == (0, {}), done.stderr
    assert content(database) == before
    assert all(before.values())


def test_status_tells_what_is_missing(cluster: Cluster, database: Engine) -> None:
    name = cluster.settings.catalogue["delivery"].name
    put(cluster, *records_of(1))
    cluster.start("read-model")
    wait_complete(database)
    cluster.stop("read-model")
    put(cluster, *records_of(2))
    told = json.loads(cluster.trackly("read-model", "status", "--json").stdout)
    assert (told["lag"][name], told["complete_until"] is not None) == (2, True)


def test_what_cannot_be_decoded_is_passed_over(cluster: Cluster, database: Engine) -> None:
    asyncio.run(write_bytes(cluster.settings, "delivery", [b"no Avro", CODEC.encode(records.receipt(1, NOW))]))
    put(cluster, *records_of(1))
    cluster.start("read-model")
    wait_complete(database)
    assert len(content(database)["events"]) == 2
    assert "cannot be decoded" in cluster.services["read-model"].last_lines(50)


async def write_bytes(settings: BusSettings, topic: str, values: list[bytes]) -> None:
    producer = Producer(settings)
    await producer.start()
    for value in values:
        await (await producer.send(settings.catalogue[topic].name, value, partition=0))
    await producer.stop()


def test_an_erasure_waits_until_what_it_erases_was_read(cluster: Cluster, database: Engine) -> None:
    for index in (1, 2):
        put(cluster, *records_of(index))
    key = recipient_key("acme", records.number_of(1))
    put(cluster, *(("commands", key, records.command(1, NOW, what)) for what in ("remove", "erase")))
    cluster.start("read-model")
    wait_complete(database)
    found = content(database)
    assert records.number_of(1) not in repr(found)
    assert (len(found["messages"]), len(found["events"])) == (1, 2)
    with database.connect() as connection:
        assert connection.execute(select(func.count()).select_from(tables.contact_changes)).scalar_one() == 0


def test_a_second_service_waits_and_takes_over(cluster: Cluster, database: Engine) -> None:
    cluster.start("read-model-1", "read-model-2")
    cluster.wait_ready()
    put(cluster, *records_of(1))
    wait_complete(database)
    with pytest.raises(AnotherWrites), writing(database):
        pass
    cluster.kill("read-model-1")
    put(cluster, *records_of(2))
    wait_complete(database)
    assert len(content(database)["messages"]) == 2
    cluster.stop("read-model-2")
    with writing(database):
        pass
