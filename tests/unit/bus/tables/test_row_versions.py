"""Versions of rows: which of two writes is newer, whoever wrote it."""

from __future__ import annotations

import time

import pytest

from bus.memory import MemoryKafka, ledger, make_durable
from bus.tables.store import MemoryStore
from bus.tables.table import Table


async def put(kafka: MemoryKafka, table: Table, value: bytes, generation: int = 1) -> None:
    batch = kafka.batch([], table, generation=generation)
    batch.rows(table).put(0, b"row", value)
    await make_durable(batch)


async def test_each_write_has_a_higher_version() -> None:
    kafka, versions = MemoryKafka(), []
    table = kafka.table("t")
    await table.claim([ledger()])
    for value in (b"1", b"2", b"3"):
        await put(kafka, table, value)
        versions.append(table.get(0, b"row")[0])
    assert versions == sorted(set(versions))


async def test_the_owner_wins_over_a_worker_that_lost_its_partition_and_had_read_the_same_row() -> None:
    kafka = MemoryKafka()
    frozen, owner = kafka.table("t"), kafka.table("t")
    await frozen.claim([ledger()])
    await put(kafka, frozen, b"common")
    await owner.claim([ledger(generation=2)])
    await put(kafka, owner, b"right", generation=2)
    await put(kafka, frozen, b"late")
    restored = kafka.table("t")
    await restored.claim([ledger(generation=3)])
    assert restored.get(0, b"row")[1] == b"right"


@pytest.mark.parametrize("generation", [1, 2])
async def test_a_row_that_was_purged_and_is_written_again_is_newer_than_it_was(
    generation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka = MemoryKafka()
    table = kafka.table("t", {0: MemoryStore()})
    await table.claim([ledger()])
    for value in (b"old", b"old too"):
        await put(kafka, table, value)
    assert await table.purge(lambda value: False) == 1
    later = time.time_ns() + 7 * 86_400 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: later)
    await put(kafka, table, b"new", generation)
    restored = kafka.table("t")
    await restored.claim([ledger()])
    assert restored.get(0, b"row")[1] == b"new"


async def test_a_row_that_is_written_again_during_the_sweep_is_kept() -> None:
    kafka, seen = MemoryKafka(), []
    store = MemoryStore()
    table = kafka.table("t", {0: store})
    await table.claim([ledger()])
    await put(kafka, table, b"old")

    def keep(value: bytes) -> bool:
        seen.append(value)
        if seen == [b"old"]:
            store.write({b"row": bytes(8) + b"new"}, None)
        return value == b"new"

    assert await table.purge(keep) == 0
    assert table.get(0, b"row")[1] == b"new"
