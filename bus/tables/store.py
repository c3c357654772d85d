"""Storage of one table partition on this machine: RocksDB in the data directory, or memory in tests."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Protocol

from rocksdict import AccessType, BlockBasedOptions, Cache, Options, Rdict, WriteBatch, WriteBufferManager

log = logging.getLogger(__name__)

CACHE_BYTES = 256 << 20
"""Block cache in bytes, shared by all stores of a process."""

WRITE_BUFFER_BYTES = 128 << 20
"""Write buffers in bytes, shared by all stores of a process."""

KNOWN_BITS = 1 << 26
"""Bits of a store's key filter: 8 MiB, of which a million keys set one in 67."""

_KNOWN_MASK = KNOWN_BITS - 1

OWN_KEYS = b"\x00"
"""Prefix of keys that belong to the store and its table. Row keys never have it."""

_OFFSET_KEY = OWN_KEYS + b"offset"
_FIRST_ROW = b"\x01"


class StoreInUse(RuntimeError):
    """Another process has the store open."""


class StoreFailed(RuntimeError):
    """Rows cannot be read or written, or are corrupt. The record being processed is not to blame."""


class Store(Protocol):
    """Rows of one partition, and the changelog offset up to which they are complete."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a row, or None."""

    def get_many(self, keys: Iterable[bytes]) -> list[bytes | None]:
        """Return the values of rows in the order of the keys, with None for missing rows."""

    def write(self, rows: Mapping[bytes, bytes | None], offset: int | None) -> None:
        """Atomically store rows (None deletes) and the changelog offset they reach. Offset None leaves it unchanged."""

    def offset(self) -> int | None:
        """The last changelog offset in the store; None if the store is new."""

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all rows."""

    def own_items(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield everything under keys with a prefix, such as OWN_KEYS; with an empty prefix, everything."""

    def wipe(self) -> None:
        """Delete everything."""

    def close(self) -> None:
        """Release files."""


class MemoryStore:
    """A store that lives in memory."""

    def __init__(self) -> None:
        self._rows: dict[bytes, bytes] = {}
        self._offset: int | None = None

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a row, or None."""
        return self._rows.get(key)

    def get_many(self, keys: Iterable[bytes]) -> list[bytes | None]:
        """Return the values of rows."""
        return [self._rows.get(key) for key in keys]

    def write(self, rows: Mapping[bytes, bytes | None], offset: int | None) -> None:
        """Store rows and the offset they reach."""
        for key, value in rows.items():
            if value is None:
                self._rows.pop(key, None)
            else:
                self._rows[key] = value
        if offset is not None:
            self._offset = offset

    def offset(self) -> int | None:
        """The last changelog offset in the store."""
        return self._offset

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all rows."""
        yield from [item for item in self._rows.items() if not item[0].startswith(OWN_KEYS)]

    def own_items(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield everything under keys with a prefix."""
        yield from [item for item in self._rows.items() if item[0].startswith(prefix)]

    def wipe(self) -> None:
        """Delete everything."""
        self._rows.clear()
        self._offset = None

    def close(self) -> None:
        """Nothing to release."""


class KnownKeys:
    """A filter that identifies most unknown keys at a tenth of the cost of a RocksDB lookup.

    It keeps a bit for a hash of each key. With as many keys as bits, two of three unknown keys look known.
    """

    def __init__(self, keys: Iterable[bytes] = ()) -> None:
        self._bits = bytearray(KNOWN_BITS >> 3)
        self.add(keys)

    def add(self, keys: Iterable[bytes]) -> None:
        """Add keys. They stay when their rows are deleted."""
        bits = self._bits
        for key in keys:
            at = hash(key) & _KNOWN_MASK
            bits[at >> 3] |= 1 << (at & 7)

    def some(self, keys: Iterable[bytes]) -> list[bytes | None]:
        """Return each key that may have been added, and None in place of the others."""
        bits = self._bits
        return [key if bits[(at := hash(key) & _KNOWN_MASK) >> 3] & (1 << (at & 7)) else None for key in keys]


class RocksStore:
    """A store in RocksDB. A kill loses nothing written; a power cut loses at most what the changelog still has.

    `cache_bytes`: a block cache of its own; None shares CACHE_BYTES with the others. `knows_keys`: for stores that are
    often asked for missing keys; reads all keys on opening, and keeps a filter (KNOWN_BITS).

    A store with damaged files is set aside at the next opening and replaced by an empty one, which its owner restores
    from Kafka. Every method raises StoreFailed if RocksDB fails.
    """

    def __init__(self, path: Path, cache_bytes: int | None = None, *, knows_keys: bool = False) -> None:
        self._path = path
        self._knows_keys = knows_keys
        self._mark = path / "DAMAGED"
        self._cache = None if cache_bytes is None else Cache(cache_bytes)
        self._open()

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = self._opened()
        except Exception as error:
            if not _is_damage(error):
                raise
            self._set_aside(str(error))
            self._db = self._opened()
        if self._mark.exists():
            self._db.close()
            self._set_aside(self._mark.read_text("utf-8", "replace"))
            self._db = self._opened()
        self._known = KnownKeys(key for key, _ in self._from(_FIRST_ROW)) if self._knows_keys else None

    def _opened(self) -> Rdict:
        options = _options(self._cache or _block_cache())
        try:
            return Rdict(str(self._path), options, access_type=AccessType.read_write())
        except Exception as error:  # rocksdict has no exception classes
            if not any(words in str(error) for words in ("While lock file", "lock hold by")):
                raise
            raise StoreInUse(
                f"{self._path} is open in another process. Give each process of a service its own "
                "TRACKLY_INSTANCE_ID or TRACKLY_DATA_DIR."
            ) from error

    def _set_aside(self, reason: str) -> None:
        """Keep a damaged store's files for inspection. Those of an earlier one are deleted, or the disk would fill."""
        aside = self._path.with_name(f"{self._path.name}.damaged")
        shutil.rmtree(aside, ignore_errors=True)
        self._path.rename(aside)
        log.critical(
            "the store %s is damaged and is being restored from Kafka; its files are in %s, delete them when "
            "nobody needs them. Check the disk: %s", self._path, aside, reason,
        )  # fmt: skip

    def _failed(self, error: Exception) -> StoreFailed:
        if _is_damage(error):
            try:
                self._mark.write_text(str(error), "utf-8")
            except OSError:
                log.exception("%s cannot be marked as damaged", self._path)
        return StoreFailed(f"{self._path}: {error}")

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a row, or None."""
        try:
            value: bytes | None = self._db.get(key)
        except Exception as error:
            raise self._failed(error) from error
        return value

    def get_many(self, keys: Iterable[bytes]) -> list[bytes | None]:
        """Return the values of rows."""
        wanted: Iterable[bytes | None] = keys if self._known is None else self._known.some(keys)
        get = self._db.get
        try:
            return [None if key is None else get(key) for key in wanted]
        except Exception as error:
            raise self._failed(error) from error

    def write(self, rows: Mapping[bytes, bytes | None], offset: int | None) -> None:
        """Store rows and the offset they reach in one write batch."""
        if self._known is not None:
            # Before the write: a concurrent reader then looks and finds nothing yet.
            self._known.add(rows)
        batch = WriteBatch(raw_mode=True)
        for key, value in rows.items():
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        if offset is not None:
            batch.put(_OFFSET_KEY, offset.to_bytes(8, "big"))
        try:
            self._db.write(batch)
        except Exception as error:
            raise self._failed(error) from error

    def offset(self) -> int | None:
        """The last changelog offset in the store."""
        value = self.get(_OFFSET_KEY)
        return None if value is None else int.from_bytes(value, "big")

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all rows."""
        yield from self._from(_FIRST_ROW)

    def own_items(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield everything under keys with a prefix."""
        for key, value in self._from(prefix):
            if not key.startswith(prefix):
                return
            yield key, value

    def _from(self, first: bytes) -> Iterator[tuple[bytes, bytes]]:
        last = first
        try:
            for last, value in self._db.items(from_key=first):
                yield last, value
            # If a block cannot be read, rocksdict's iterator ends silently, as after the last row.
            end = self._db.iter()
            end.seek(last)
            if end.valid():
                end.next()
            end.status()
        except Exception as error:
            raise self._failed(error) from error

    def wipe(self) -> None:
        """Delete everything."""
        self._db.close()
        shutil.rmtree(self._path)
        self._open()

    def close(self) -> None:
        """Flush and release the files."""
        self._db.close()


_DAMAGE = ("Corruption", "Input/output error", "No such file or directory", "Structure needs cleaning")
"""RocksDB's messages for files that are not what it wrote. A full disk or too many open files is not damage."""


def _is_damage(error: Exception) -> bool:
    return not isinstance(error, StoreInUse) and any(words in str(error) for words in _DAMAGE)


@cache
def _block_cache() -> Cache:
    return Cache(CACHE_BYTES)


@cache
def _write_buffers() -> WriteBufferManager:
    return WriteBufferManager(WRITE_BUFFER_BYTES, False)


def _options(cache: Cache) -> Options:
    # RocksDB's defaults suit one large database on a big machine. Here every partition has one, and they share their
    # memory, which must not grow with a worker's partitions.
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
