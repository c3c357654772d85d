"""Tables are restored from their changelog, whatever is left on the disk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiokafka
import pytest

from bus.admin import Admin
from bus.ledger import Ledger, TopicPartition
from bus.producer import Producer
from bus.settings import BusSettings
from bus.tables.store import MemoryStore, RocksStore, Store
from bus.tables.table import ChangelogMadeAnew, Stale, Table
from bus.tables.versions import pack
from tests.patience import PATIENCE

pytestmark = pytest.mark.broker

PARTITION = 2


@pytest.fixture
async def producer(bus_settings: BusSettings) -> AsyncIterator[Producer]:
    with Admin(bus_settings, PATIENCE) as admin:
        admin.apply(bus_settings.catalogue)
    producer = Producer(bus_settings)
    await producer.start()
    yield producer
    await producer.stop()


@pytest.fixture
def table_on(bus_settings: BusSettings, producer: Producer) -> Callable[[Path | None], Table]:
    def make(directory: Path | None) -> Table:
        def open_store(name: str, partition: int) -> Store:
            return MemoryStore() if directory is None else RocksStore(directory / name / str(partition))

        return Table(
            "contacts",
            bus_settings.catalogue["table_contacts"].name,
            producer,
            open_store=open_store,
            consumer=lambda: aiokafka.AIOKafkaConsumer(group_id=None, **bus_settings.aiokafka()),
        )

    return make


def owner(generation: int = 1) -> Ledger:
    return Ledger(TopicPartition("any", PARTITION), 0, generation)


async def fill(table: Table, count: int = 3_000) -> None:
    await table.claim([owner()])
    for version in (1, 2):
        rows = {b"key-%d" % n: (version, b"%d at %d" % (n, version)) for n in range(count)}
        await table.write(PARTITION, rows)


async def write_over(settings: BusSettings, producer: Producer) -> int:
    """Write an old row after the newer one, like a worker that was frozen; returns the end of the changelog."""
    changelog = settings.catalogue["table_contacts"].name
    sent = await (await producer.send(changelog, pack(1, b"stale"), key=b"key-1", partition=PARTITION))
    end: int = sent.offset + 1
    return end


async def test_rows_are_there_after_a_restart_without_reading_them_again(
    table_on: Callable[[Path | None], Table], tmp_path: Path
) -> None:
    first = table_on(tmp_path)
    await fill(first)
    first.close()
    second = table_on(tmp_path)
    await second.claim([owner()])
    assert second.get(PARTITION, b"key-7") == (2, b"7 at 2")
    assert second.restored == 0
    second.close()


async def test_rows_come_back_from_the_changelog_when_the_disk_is_lost(
    table_on: Callable[[Path | None], Table], tmp_path: Path
) -> None:
    first = table_on(tmp_path / "lost")
    await fill(first)
    first.close()
    second = table_on(tmp_path / "new")
    await second.claim([owner()])
    assert [second.get(PARTITION, b"key-%d" % n) for n in (0, 1, 2_999)] == [
        (2, b"0 at 2"),
        (2, b"1 at 2"),
        (2, b"2999 at 2"),
    ]
    assert second.get(PARTITION, b"nobody") == (0, None)
    second.close()


async def test_a_partition_that_was_away_catches_up(table_on: Callable[[Path | None], Table], tmp_path: Path) -> None:
    here, there = table_on(tmp_path / "here"), table_on(tmp_path / "there")
    await fill(here)
    await there.claim([owner(2)])
    await there.write(PARTITION, {b"key-1": (3, b"written by the other")})
    await here.claim([owner(3)])
    assert here.get(PARTITION, b"key-1") == (3, b"written by the other")
    assert here.restored == 1
    here.close()
    there.close()


async def test_a_claim_in_the_same_generation_reads_nothing(table_on: Callable[[Path | None], Table]) -> None:
    table, other = table_on(None), table_on(None)
    await fill(table)
    await other.claim([owner()])
    await other.write(PARTITION, {b"key-1": (9, b"later")})
    await table.claim([owner()])
    assert table.restored == 0


async def test_a_late_write_of_a_worker_that_lost_its_partition_does_not_win(
    bus_settings: BusSettings, producer: Producer, table_on: Callable[[Path | None], Table]
) -> None:
    table = table_on(None)
    await fill(table, count=3)
    await write_over(bus_settings, producer)
    restored = table_on(None)
    await restored.claim([owner()])
    assert restored.get(PARTITION, b"key-1") == (2, b"1 at 2")


async def test_a_store_that_is_ahead_of_its_changelog_is_neither_used_nor_emptied(
    table_on: Callable[[Path | None], Table], tmp_path: Path
) -> None:
    store = RocksStore(tmp_path / "contacts" / str(PARTITION))
    store.write({b"old": pack(5, b"of a topic that was deleted")}, offset=1_000_000)
    store.close()
    table = table_on(tmp_path)
    with pytest.raises(ChangelogMadeAnew, match="rebuild-from-contacts"):
        await table.claim([owner()])
    assert table.get(PARTITION, b"old") == (5, b"of a topic that was deleted")
    table.close()


async def test_rows_that_are_not_kept_are_purged(table_on: Callable[[Path | None], Table], tmp_path: Path) -> None:
    table = table_on(tmp_path)
    await fill(table, count=10)
    assert await table.purge(lambda value: value.startswith(b"7")) == 9
    assert table.get(PARTITION, b"key-7") == (2, b"7 at 2")
    assert table.get(PARTITION, b"key-1") == (0, None)
    table.close()


async def test_a_partition_that_is_not_kept_is_read_again_when_it_comes_back(
    bus_settings: BusSettings, producer: Producer, table_on: Callable[[Path | None], Table]
) -> None:
    table = table_on(None)
    await fill(table, count=3)
    table.keep([PARTITION + 1])
    another = table_on(None)
    await another.claim([owner(generation=2)])
    await another.write(PARTITION, {b"key-1": (3, b"1 at 3")})
    await table.claim([owner(generation=1)])
    assert table.get(PARTITION, b"key-1") == (3, b"1 at 3")


async def test_the_owner_notices_at_its_next_write_that_a_row_was_written_over(
    bus_settings: BusSettings, producer: Producer, table_on: Callable[[Path | None], Table]
) -> None:
    table = table_on(None)
    await fill(table, count=3)
    await write_over(bus_settings, producer)
    await table.write(PARTITION, {b"key-2": (3, b"2 at 3")})
    assert await table.claim([owner()]) == [Stale("contacts", PARTITION, b"key-1", b"1 at 2")]
    assert table.get(PARTITION, b"key-2") == (3, b"2 at 3")
    assert await table.claim([owner()]) == []


async def test_an_idle_owner_notices_it_when_it_looks_again(
    bus_settings: BusSettings, producer: Producer, table_on: Callable[[Path | None], Table]
) -> None:
    table = table_on(None)
    await fill(table, count=3)
    end = await write_over(bus_settings, producer)

    before = table.ends()
    found = dict.fromkeys(before, end)
    assert await table.look_again(before, found) == [Stale("contacts", PARTITION, b"key-1", b"1 at 2")]
    assert await table.look_again(before, found) == []


async def test_a_row_that_was_written_again_after_it_was_written_over_is_right(
    bus_settings: BusSettings, producer: Producer, table_on: Callable[[Path | None], Table]
) -> None:
    table = table_on(None)
    await fill(table, count=3)
    await write_over(bus_settings, producer)
    await table.write(PARTITION, {b"key-1": (3, b"1 at 3")})
    assert await table.claim([owner()]) == []
    assert table.get(PARTITION, b"key-1") == (3, b"1 at 3")
