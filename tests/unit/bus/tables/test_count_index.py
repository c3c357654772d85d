"""Rows counted by label: after every kind of write, in a batch before it is durable, across restarts and lost disks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.memory import MemoryKafka, ledger, make_durable
from bus.tables.count_index import CountedRows
from bus.tables.store import OWN_KEYS, MemoryStore, RocksStore, Store
from bus.tables.table import Indexes, Table
from bus.tables.versions import pack


def labels_of(key: bytes, value: bytes) -> list[bytes]:
    """A value is the names of its labels, with spaces between."""
    return value.split()


@pytest.fixture(params=["memory", "rocks"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else RocksStore(tmp_path / "store")


async def claimed(kafka: MemoryKafka, store: Store) -> Table:
    table = kafka.table("t", {0: store}, Indexes(counted=CountedRows(labels_of)))
    await table.claim([ledger()])
    return table


async def write(kafka: MemoryKafka, table: Table, rows: dict[bytes, bytes | None]) -> None:
    batch = kafka.batch([], table)
    for key, value in rows.items():
        batch.rows(table).put(0, key, value)
    await make_durable(batch)


@pytest.mark.parametrize(
    ("batches", "red"),
    [
        ([{b"1": b"red"}], 1),
        ([{b"1": b"red blue", b"2": b"blue", b"3": b"red"}], 2),
        ([{b"1": b"red"}, {b"1": b"blue"}], 0),
        ([{b"1": b"red"}, {b"1": b"red"}], 1),
        ([{b"1": b"red"}, {b"1": None}], 0),
        ([{b"1": b"reddish"}], 0),
    ],
)
async def test_rows_are_counted_by_their_last_value(
    store: Store, batches: list[dict[bytes, bytes | None]], red: int
) -> None:
    kafka = MemoryKafka()
    table = await claimed(kafka, store)
    for rows in batches:
        await write(kafka, table, rows)
    assert table.count(0, b"red") == red
    again = await claimed(kafka, MemoryStore())
    assert again.count(0, b"red") == red


async def test_a_batch_counts_what_it_has_written_and_not_what_it_took_back() -> None:
    kafka = MemoryKafka()
    table = await claimed(kafka, MemoryStore())
    await write(kafka, table, {b"1": b"red"})
    batch = kafka.batch([], table)
    rows = batch.rows(table)
    rows.put(0, b"2", b"red")
    rows.put(0, b"1", None)
    rows.put(0, b"3", b"red")
    assert rows.count(0, b"red") == 2
    source = kafka.admitted("t", b"k", b"v")
    with batch.attempt(source):
        rows.put(0, b"3", b"blue")
        rows.put(0, b"4", b"red")
        raise ValueError("a bug")
    assert (rows.count(0, b"red"), rows.count(0, b"blue")) == (2, 0)
    await make_durable(batch)
    assert (table.count(0, b"red"), table.count(0, b"blue")) == (2, 0)


async def test_a_store_from_before_there_were_counts_is_counted_once() -> None:
    kafka, store = MemoryKafka(), MemoryStore()
    store.write({b"1": pack(1, b"red"), b"2": pack(1, b"red blue")}, None)
    for _ in range(2):
        table = await claimed(kafka, store)
        assert (table.count(0, b"red"), table.count(0, b"blue")) == (2, 1)


async def test_a_store_whose_labels_were_others_is_counted_anew() -> None:
    kafka, store = MemoryKafka(), MemoryStore()
    store.write({b"1": pack(1, b"red"), b"2": pack(1, b"red blue")}, None)
    store.write({OWN_KEYS + b"has-counts": b"", OWN_KEYS + b"count:red": b"1", OWN_KEYS + b"count:pink": b"1"}, None)
    table = await claimed(kafka, store)
    assert [table.count(0, label) for label in (b"red", b"blue", b"pink")] == [2, 1, 0]


@pytest.mark.parametrize("other", [b"", b":2", b":4"])
async def test_a_store_in_which_another_version_wrote_meanwhile_is_counted_anew_by_both(
    other: bytes, store: Store
) -> None:
    kafka = MemoryKafka()
    theirs = {OWN_KEYS + b"has-counts" + other: b"", OWN_KEYS + b"count" + other + b":red": b"1"}
    store.write({b"1": pack(1, b"red blue"), **theirs}, None)
    await claimed(kafka, store)
    assert [store.get(mark) for mark in theirs] == [None, None]
    # The other version does not know the label `blue`.
    store.write({b"2": pack(2, b"red blue"), **theirs}, None)
    table = await claimed(kafka, store)
    assert [table.count(0, label) for label in (b"red", b"blue")] == [2, 2]


async def test_what_is_forgotten_counts_from_nothing_on_and_never_below() -> None:
    kafka = MemoryKafka()
    table = await claimed(kafka, MemoryStore())
    await write(kafka, table, {b"1": b"old:1 new:1", b"2": b"old:2"})
    table.forget_counts(b"old:", lambda label: label == b"old:1")
    assert [table.count(0, label) for label in (b"old:1", b"old:2", b"new:1")] == [0, 1, 1]
    await write(kafka, table, {b"1": None})
    assert table.count(0, b"old:1") == 0
    assert table.counts(b"old:") == 1


names = st.sampled_from([b"red", b"blue", b"green"])
values = st.none() | st.lists(names, max_size=3, unique=True).map(b" ".join)
keys = st.sampled_from([b"1", b"2", b"3", b"4"])


@given(st.lists(st.dictionaries(keys, values, max_size=4), max_size=8))
def test_counts_are_a_function_of_the_rows(batches: list[dict[bytes, bytes | None]]) -> None:
    counted, store, rows = CountedRows(labels_of), MemoryStore(), dict[bytes, bytes]()
    for batch in batches:
        changes: Counter[bytes] = Counter()
        for key, value in batch.items():
            changes.update(counted.changes(key, rows.get(key), value))
        store.write(counted.marks(store, changes), None)
        rows |= {key: value for key, value in batch.items() if value is not None}
        for key in [key for key, value in batch.items() if value is None]:
            rows.pop(key, None)
    found = dict(counted.counts(store, b""))
    assert found == Counter(label for value in rows.values() for label in value.split())
