"""Rows that are due for another look: found by time, across restarts and a lost disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from bus.memory import MemoryKafka, ledger, make_durable
from bus.tables.due_index import DueRows
from bus.tables.store import MemoryStore, RocksStore, Store
from bus.tables.table import Indexes, Table


def due_at(value: bytes) -> int | None:
    """A value is the time at which it is due, or empty."""
    return int(value) if value else None


async def written(kafka: MemoryKafka, table: Table, *batches: dict[bytes, bytes]) -> Table:
    """Return the claimed table, with these rows written in one batch each."""
    await table.claim([ledger()])
    for rows in batches:
        batch = kafka.batch([], table)
        for key, value in rows.items():
            batch.rows(table).put(0, key, value)
        await make_durable(batch)
    return table


@pytest.mark.parametrize(
    ("batches", "due"),
    [
        ([], []),
        ([{b"a": b""}], []),
        ([{b"a": b"5"}], [b"a"]),
        ([{b"a": b"10"}], [b"a"]),
        ([{b"a": b"11"}], []),
        ([{b"a": b"5", b"b": b"11", b"c": b"7"}], [b"a", b"c"]),
        ([{b"a": b"5"}, {b"a": b""}], []),
        ([{b"a": b"5"}, {b"a": b"11"}], []),
        ([{b"a": b"11"}, {b"a": b"5"}], [b"a"]),
    ],
)
async def test_a_row_is_due_from_the_time_that_its_last_value_names(
    batches: list[dict[bytes, bytes]], due: list[bytes]
) -> None:
    kafka = MemoryKafka()
    table = await written(kafka, kafka.table("t", indexes=Indexes(due=DueRows(due_at))), *batches)
    assert table.due(10, limit=100) == [(0, key) for key in due]


async def test_only_so_many_are_given_at_once() -> None:
    kafka = MemoryKafka()
    rows = {b"%d" % number: b"1" for number in range(5)}
    table = await written(kafka, kafka.table("t", indexes=Indexes(due=DueRows(due_at))), rows)
    assert len(table.due(10, limit=3)) == 3


async def test_rows_of_partitions_that_are_not_ours_any_more_are_left_alone() -> None:
    kafka = MemoryKafka()
    table = await written(kafka, kafka.table("t", indexes=Indexes(due=DueRows(due_at))), {b"a": b"1"})
    table.keep([])
    assert table.due(10, limit=100) == []


async def test_they_are_counted() -> None:
    kafka, due_rows = MemoryKafka(), DueRows(due_at)
    table = await written(kafka, kafka.table("t", indexes=Indexes(due=due_rows)), {b"a": b"5", b"b": b"6", b"c": b""})
    assert due_rows.count() == 2
    table.keep([])
    assert due_rows.count() == 0


@pytest.fixture(params=["memory", "rocks"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else RocksStore(tmp_path / "store")


async def test_they_are_found_again_after_a_restart(store: Store) -> None:
    kafka = MemoryKafka()
    table = kafka.table("t", {0: store}, Indexes(DueRows(due_at)))
    await written(kafka, table, {b"a": b"5", b"b": b"6", b"c": b""}, {b"b": b""})
    again = await written(kafka, kafka.table("t", {0: store}, Indexes(DueRows(due_at, clock=lambda: 0.010))))
    assert again.restored == 0
    assert again.due(10, limit=100) == [(0, b"a")]


async def test_they_are_found_again_after_the_disk_was_lost() -> None:
    kafka = MemoryKafka()
    await written(kafka, kafka.table("t", indexes=Indexes(due=DueRows(due_at))), {b"a": b"5", b"b": b"6"}, {b"b": b""})
    again = await written(kafka, kafka.table("t", indexes=Indexes(due=DueRows(due_at, clock=lambda: 0.010))))
    assert again.due(10, limit=100) == [(0, b"a")]


async def test_who_takes_over_waits_until_it_has_read_what_came_meanwhile() -> None:
    kafka = MemoryKafka()
    await written(kafka, kafka.table("t", indexes=Indexes(due=DueRows(due_at))), {b"a": b"5"})
    patient = DueRows(due_at, patience=60, clock=lambda: 100.0)
    again = await written(kafka, kafka.table("t", indexes=Indexes(due=patient)))
    assert again.due(159_999, limit=100) == []
    assert again.due(160_000, limit=100) == [(0, b"a")]


async def test_the_index_is_no_row(store: Store) -> None:
    kafka = MemoryKafka()
    await written(kafka, kafka.table("t", {0: store}, Indexes(DueRows(due_at))), {b"a": b"5", b"b": b""})
    assert [key for key, _ in store.items()] == [b"a", b"b"]
