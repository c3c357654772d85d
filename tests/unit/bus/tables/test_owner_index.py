"""Rows by their owner: found after every kind of write, across restarts, a lost disk, and a purge."""

from __future__ import annotations

from pathlib import Path

import pytest

from bus.memory import MemoryKafka, ledger, make_durable
from bus.tables.owner_index import OwnedRows
from bus.tables.store import MemoryStore, RocksStore, Store
from bus.tables.table import Indexes, Table
from bus.tables.versions import pack


def owners_of(value: bytes) -> set[bytes]:
    """A value is the names of its owners, with spaces between."""
    return set(value.split())


@pytest.fixture(params=["memory", "rocks"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else RocksStore(tmp_path / "store")


async def claimed(kafka: MemoryKafka, store: Store) -> Table:
    table = kafka.table("t", {0: store}, Indexes(owned=OwnedRows(owners_of)))
    await table.claim([ledger()])
    return table


async def write(kafka: MemoryKafka, table: Table, rows: dict[bytes, bytes | None]) -> None:
    batch = kafka.batch([], table)
    for key, value in rows.items():
        batch.rows(table).put(0, key, value)
    await make_durable(batch)


@pytest.mark.parametrize(
    ("batches", "of_ann"),
    [
        ([{b"1": b"ann"}], [b"1"]),
        ([{b"1": b"ann bob", b"2": b"bob", b"3": b"ann"}], [b"1", b"3"]),
        ([{b"1": b"ann"}, {b"1": b"bob"}], []),
        ([{b"1": b"bob"}, {b"1": b"ann bob"}], [b"1"]),
        ([{b"1": b"ann"}, {b"1": None}], []),
        ([{b"1": b"anna", b"2": b"an"}], []),
    ],
)
async def test_rows_are_found_by_their_last_value(
    store: Store, batches: list[dict[bytes, bytes | None]], of_ann: list[bytes]
) -> None:
    kafka = MemoryKafka()
    table = await claimed(kafka, store)
    for rows in batches:
        await write(kafka, table, rows)
    assert sorted(table.keys_of(0, b"ann")) == of_ann
    again = await claimed(kafka, MemoryStore())
    assert sorted(again.keys_of(0, b"ann")) == of_ann


async def test_a_batch_sees_what_it_writes_itself() -> None:
    kafka = MemoryKafka()
    table = await claimed(kafka, MemoryStore())
    await write(kafka, table, {b"1": b"ann", b"2": b"ann"})
    rows = kafka.batch([], table).rows(table)
    rows.put(0, b"1", None)
    rows.put(0, b"3", b"ann")
    assert rows.keys_of(0, b"ann") == [b"2", b"3"]


async def test_a_purged_row_leaves_no_name(store: Store) -> None:
    kafka = MemoryKafka()
    table = await claimed(kafka, store)
    await write(kafka, table, {b"1": b"ann", b"2": b"bob"})
    await table.purge(lambda value: value != b"ann")
    assert [key for key, _ in store.own_items(b"") if b"ann" in key] == []
    assert table.keys_of(0, b"bob") == [b"2"]


async def test_rows_from_before_there_was_an_index_are_found(store: Store) -> None:
    store.write({b"1": pack(1, b"ann")}, 0)
    kafka = MemoryKafka()
    kafka.logs["changelog-t", 0] = [kafka.admitted("x", b"1", pack(1, b"ann")).record]  # type: ignore[list-item]
    table = await claimed(kafka, store)
    assert table.keys_of(0, b"ann") == [b"1"]
