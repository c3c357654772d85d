"""A damaged store reports it on any read, and is restored from the changelog at the next opening."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from bus.memory import MemoryKafka, ledger
from bus.tables.store import OWN_KEYS, RocksStore, StoreFailed, StoreInUse

ROWS = {b"k%05d" % number: os.urandom(200) for number in range(5_000)}


def filled(path: Path) -> Path:
    """Return a closed store with rows in its own file."""
    store = RocksStore(path)
    store.write(ROWS, offset=4_999)
    store._db.flush()
    store.close()
    return path


def change(path: Path, pattern: str, edit: Callable[[bytearray], object]) -> None:
    (file, *_) = sorted(path.glob(pattern))
    data = bytearray(file.read_bytes())
    edit(data)
    file.write_bytes(data)


def damage_a_block(path: Path) -> None:
    """Damage the file so that the store opens, but fails when the block is read."""

    def flip(data: bytearray) -> None:
        for at in range(100_000, 140_000, 1_000):
            data[at] ^= 0xFF

    change(path, "*.sst", flip)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: change(path, "*.sst", lambda data: data.__delitem__(slice(1_000, None))),
        lambda path: next(path.glob("*.sst")).unlink(),
        lambda path: next(path.glob("MANIFEST*")).unlink(),
        lambda path: (path / "CURRENT").write_bytes(b"\0" * 10),
        lambda path: (path / "CURRENT").unlink(),
    ],
    ids=["cut", "lost", "no-manifest", "no-pointer", "no-current"],
)
def test_a_store_that_does_not_open_is_set_aside_loudly(
    damage: Callable[[Path], object], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = filled(tmp_path / "3")
    damage(path)
    with caplog.at_level(logging.CRITICAL):
        store = RocksStore(path)
    assert (store.offset(), list(store.items())) == (None, [])
    assert (tmp_path / "3.damaged").is_dir()
    assert "is damaged and is being restored from Kafka" in caplog.text
    store.close()


@pytest.mark.parametrize(
    "read",
    [
        lambda store: [store.get(key) for key in ROWS],
        lambda store: list(store.items()),
        lambda store: list(store.own_items(b"k")),
        lambda store: list(store.own_items(b"k00454")),
    ],
    ids=["get", "items", "own-items", "first-item"],
)
def test_a_block_that_cannot_be_read_is_told_and_not_taken_for_the_end(
    read: Callable[[RocksStore], object], tmp_path: Path
) -> None:
    path = filled(tmp_path / "3")
    damage_a_block(path)
    store = RocksStore(path)
    with pytest.raises(StoreFailed, match="Corruption"):
        read(store)
    store.close()
    again = RocksStore(path)
    assert again.offset() is None
    again.close()


def test_a_sound_store_is_read_to_its_end(tmp_path: Path) -> None:
    store = RocksStore(filled(tmp_path / "3"))
    assert dict(store.items()) == ROWS
    assert list(store.own_items(OWN_KEYS + b"none")) == []
    assert [key for key, _ in store.own_items(b"k0499")] == [b"k0499%d" % number for number in range(10)]
    store.close()


def test_a_store_that_another_process_has_open_is_left_alone(tmp_path: Path) -> None:
    store = RocksStore(filled(tmp_path / "3"))
    (tmp_path / "3" / "DAMAGED").write_text("Corruption")
    with pytest.raises(StoreInUse):
        RocksStore(tmp_path / "3")
    assert store.get(b"k00001") is not None
    store.close()


def test_a_failure_that_is_no_damage_leaves_the_store_where_it_is(tmp_path: Path) -> None:
    store = RocksStore(filled(tmp_path / "3"))
    assert isinstance(store._failed(Exception("IO error: No space left on device")), StoreFailed)
    store.close()
    again = RocksStore(tmp_path / "3")
    assert again.offset() == 4_999
    again.close()


async def test_the_table_of_a_damaged_store_is_whole_again_after_a_restart(tmp_path: Path) -> None:
    kafka = MemoryKafka()
    table = kafka.table("t")
    table._open_store = lambda name, partition: RocksStore(tmp_path / str(partition))
    await table.claim([ledger()])
    await table.write(0, {key: (1, value) for key, value in ROWS.items()})
    store = table._stores[0]
    assert isinstance(store, RocksStore)
    store._db.flush()
    table.close()
    damage_a_block(tmp_path / "0")
    await table.claim([ledger()])
    with pytest.raises(StoreFailed, match=r"table t\[0\] cannot be read: .*Corruption"):
        list(map(partial(table.get, 0), ROWS))
    table.close()
    await table.claim([ledger()])
    assert {key: table.get(0, key)[1] for key in ROWS} == ROWS
    assert table.restored == len(ROWS)
    table.close()
