"""Where one partition of a table lies on this machine: RocksDB under the data directory, or memory in tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Protocol

from rocksdict import AccessType, BlockBasedOptions, Cache, Options, Rdict, WriteBatch, WriteBufferManager

CACHE_BYTES = 256 << 20
"""Blocks of rows that were read, kept in memory by all stores of a process together."""

WRITE_BUFFER_BYTES = 128 << 20
"""Rows that all stores of a process hold in memory before they write a file."""

OWN_KEYS = b"\x00"
"""What keys begin with that are no rows: a store's and its table's own. Rows never do."""

_OFFSET_KEY = OWN_KEYS + b"offset"
_FIRST_ROW = b"\x01"


class StoreInUse(RuntimeError):
    """Another process has the store open."""


class Store(Protocol):
    """Rows of one partition, and the changelog offset up to which they are complete."""

    def get(self, key: bytes) -> bytes | None:
        """Value of a row, or None."""

    def write(self, rows: Mapping[bytes, bytes | None], offset: int | None) -> None:
        """Store rows (None deletes) and the changelog offset that they reach, in one step. None: it stays as it is."""

    def offset(self) -> int | None:
        """The last changelog offset that is in the store, or None when the store is new."""

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All rows."""

    def own_items(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """What is stored under keys that begin with `prefix`, such as OWN_KEYS; after nothing, everything."""

    def wipe(self) -> None:
        """Forget everything."""

    def close(self) -> None:
        """Release files."""


class MemoryStore:
    """A store that lives as long as the process."""

    def __init__(self) -> None:
        self._rows: dict[bytes, bytes] = {}
        self._offset: int | None = None

    def get(self, key: bytes) -> bytes | None:
        """Value of a row, or None."""
        return self._rows.get(key)

    def write(self, rows: Mapping[bytes, bytes | None], offset: int | None) -> None:
        """Store rows and the offset that they reach."""
        for key, value in rows.items():
            if value is None:
                self._rows.pop(key, None)
            else:
                self._rows[key] = value
        if offset is not None:
            self._offset = offset

    def offset(self) -> int | None:
        """The last changelog offset that is in the store."""
        return self._offset

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All rows."""
        yield from [item for item in self._rows.items() if not item[0].startswith(OWN_KEYS)]

    def own_items(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """What is stored under keys that begin with `prefix`."""
        yield from [item for item in self._rows.items() if item[0].startswith(prefix)]

    def wipe(self) -> None:
        """Forget everything."""
        self._rows.clear()
        self._offset = None

    def close(self) -> None:
        """Nothing to release."""


class RocksStore:
    """A store in RocksDB. A kill loses nothing that was written; a power cut at most what the changelog still has.

    `cache_bytes`: blocks that this store keeps in memory for itself; None: it shares CACHE_BYTES with the others.
    """

    def __init__(self, path: Path, cache_bytes: int | None = None) -> None:
        self._path = path
        self._cache = None if cache_bytes is None else Cache(cache_bytes)
        self._open()

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = Rdict(
                str(self._path), _options(self._cache or _block_cache()), access_type=AccessType.read_write()
            )
        except Exception as error:  # rocksdict has no exceptions of its own
            if not any(words in str(error) for words in ("While lock file", "lock hold by")):
                raise
            raise StoreInUse(
                f"{self._path} is open in another process. Give each process of a service a TRACKLY_INSTANCE_ID or a"
                " TRACKLY_DATA_DIR of its own."
            ) from error

    def get(self, key: bytes) -> bytes | None:
        """Value of a row, or None."""
        value: bytes | None = self._db.get(key)
        return value

    def write(self, rows: Mapping[bytes, bytes | None], offset: int | None) -> None:
        """Store rows and the offset that they reach in one write batch."""
        batch = WriteBatch(raw_mode=True)
        for key, value in rows.items():
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        if offset is not None:
            batch.put(_OFFSET_KEY, offset.to_bytes(8, "big"))
        self._db.write(batch)

    def offset(self) -> int | None:
        """The last changelog offset that is in the store."""
        value = self._db.get(_OFFSET_KEY)
        return None if value is None else int.from_bytes(value, "big")

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All rows."""
        yield from self._db.items(from_key=_FIRST_ROW)

    def own_items(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """What is stored under keys that begin with `prefix`."""
        for key, value in self._db.items(from_key=prefix):
            if not key.startswith(prefix):
                return
            yield key, value

    def wipe(self) -> None:
        """Forget everything."""
        self._db.close()
        shutil.rmtree(self._path)
        self._open()

    def close(self) -> None:
        """Flush and release the files."""
        self._db.close()


@cache
def _block_cache() -> Cache:
    return Cache(CACHE_BYTES)


@cache
def _write_buffers() -> WriteBufferManager:
    return WriteBufferManager(WRITE_BUFFER_BYTES, False)


def _options(cache: Cache) -> Options:
    # RocksDB's defaults are for one large database on a big machine; here every partition has one, and all share their
    # memory: it must not grow with the partitions that a worker owns.
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(8 << 20)
    options.set_max_write_buffer_number(2)
    options.set_keep_log_file_num(2)
    options.set_max_total_wal_size(32 << 20)
    options.set_write_buffer_manager(_write_buffers())
    block = BlockBasedOptions()
    block.set_block_cache(cache)
    block.set_bloom_filter(10, False)
    options.set_block_based_table_factory(block)
    return options
