"""Where one partition of a table lies on this machine: RocksDB under the data directory, or memory in tests."""

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
"""Blocks of rows that were read, kept in memory by all stores of a process together."""

WRITE_BUFFER_BYTES = 128 << 20
"""Rows that all stores of a process hold in memory before they write a file."""

KNOWN_BITS = 1 << 26
"""Bits of a store that knows its keys: 8 MiB, of which a million keys set one in 67."""

_KNOWN_MASK = KNOWN_BITS - 1

OWN_KEYS = b"\x00"
"""What keys begin with that are not rows: a store's and its table's own. Rows never do."""

_OFFSET_KEY = OWN_KEYS + b"offset"
_FIRST_ROW = b"\x01"


class StoreInUse(RuntimeError):
    """Another process has the store open."""


class StoreFailed(RuntimeError):
    """Rows cannot be read or written, or are not what was written. It is not a record's fault."""


class Store(Protocol):
    """Rows of one partition, and the changelog offset up to which they are complete."""

    def get(self, key: bytes) -> bytes | None:
        """Value of a row, or None."""

    def get_many(self, keys: Iterable[bytes]) -> list[bytes | None]:
        """Values of rows, None where there is none, in the order of the keys."""

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

    def get_many(self, keys: Iterable[bytes]) -> list[bytes | None]:
        """Values of rows."""
        return [self._rows.get(key) for key in keys]

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


class KnownKeys:
    """Tells of most keys that were never added that they were not, at a tenth of what a look-up in RocksDB costs.

    It has a bit for a hash of each key. With as many keys as bits, two of three that were not added seem to be.
    """

    def __init__(self, keys: Iterable[bytes] = ()) -> None:
        self._bits = bytearray(KNOWN_BITS >> 3)
        self.add(keys)

    def add(self, keys: Iterable[bytes]) -> None:
        """Note keys. A key stays noted when its row is deleted."""
        bits = self._bits
        for key in keys:
            at = hash(key) & _KNOWN_MASK
            bits[at >> 3] |= 1 << (at & 7)

    def some(self, keys: Iterable[bytes]) -> list[bytes | None]:
        """Of each key itself where it may have been added, else None."""
        bits = self._bits
        return [key if bits[(at := hash(key) & _KNOWN_MASK) >> 3] & (1 << (at & 7)) else None for key in keys]


class RocksStore:
    """A store in RocksDB. A kill loses nothing that was written; a power cut at most what the changelog still has.

    `cache_bytes`: blocks that this store keeps in memory for itself; None: it shares CACHE_BYTES with the others.
    `knows_keys`: it is asked for many keys that it does not have, so it reads all keys when it is opened, and keeps a
    bit of each (KNOWN_BITS).

    A store whose files are damaged is set aside at the next opening, and a new one begins: its owner reads everything
    again from Kafka. Every method raises StoreFailed where RocksDB fails.
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
        except Exception as error:  # rocksdict has no exceptions of its own
            if not any(words in str(error) for words in ("While lock file", "lock hold by")):
                raise
            raise StoreInUse(
                f"{self._path} is open in another process. Give each process of a service a TRACKLY_INSTANCE_ID or a"
                " TRACKLY_DATA_DIR of its own."
            ) from error

    def _set_aside(self, reason: str) -> None:
        """Keep the files of a damaged store for people to look at; those of an earlier one go, or the disk fills."""
        aside = self._path.with_name(f"{self._path.name}.damaged")
        shutil.rmtree(aside, ignore_errors=True)
        self._path.rename(aside)
        log.critical(
            "the store %s is damaged and begins anew from Kafka; its files lie in %s, delete them when nobody needs "
            "them. Look at the disk: %s", self._path, aside, reason,
        )  # fmt: skip

    def _failed(self, error: Exception) -> StoreFailed:
        if _is_damage(error):
            try:
                self._mark.write_text(str(error), "utf-8")
            except OSError:
                log.exception("%s cannot be marked as damaged", self._path)
        return StoreFailed(f"{self._path}: {error}")

    def get(self, key: bytes) -> bytes | None:
        """Value of a row, or None."""
        try:
            value: bytes | None = self._db.get(key)
        except Exception as error:
            raise self._failed(error) from error
        return value

    def get_many(self, keys: Iterable[bytes]) -> list[bytes | None]:
        """Values of rows."""
        wanted: Iterable[bytes | None] = keys if self._known is None else self._known.some(keys)
        get = self._db.get
        try:
            return [None if key is None else get(key) for key in wanted]
        except Exception as error:
            raise self._failed(error) from error

    def write(self, rows: Mapping[bytes, bytes | None], offset: int | None) -> None:
        """Store rows and the offset that they reach in one write batch."""
        if self._known is not None:
            # Before they are there: whoever asks meanwhile looks, and finds nothing yet.
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
        """The last changelog offset that is in the store."""
        value = self.get(_OFFSET_KEY)
        return None if value is None else int.from_bytes(value, "big")

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All rows."""
        yield from self._from(_FIRST_ROW)

    def own_items(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """What is stored under keys that begin with `prefix`."""
        for key, value in self._from(prefix):
            if not key.startswith(prefix):
                return
            yield key, value

    def _from(self, first: bytes) -> Iterator[tuple[bytes, bytes]]:
        last = first
        try:
            for last, value in self._db.items(from_key=first):
                yield last, value
            # Where a block cannot be read rocksdict's iterator ends, as it does behind the last row, and says nothing.
            end = self._db.iter()
            end.seek(last)
            if end.valid():
                end.next()
            end.status()
        except Exception as error:
            raise self._failed(error) from error

    def wipe(self) -> None:
        """Forget everything."""
        self._db.close()
        shutil.rmtree(self._path)
        self._open()

    def close(self) -> None:
        """Flush and release the files."""
        self._db.close()


_DAMAGE = ("Corruption", "Input/output error", "No such file or directory", "Structure needs cleaning")
"""What RocksDB says where the files are not what it wrote. A full disk or too many open files is not damage."""


def _is_damage(error: Exception) -> bool:
    return not isinstance(error, StoreInUse) and any(words in str(error) for words in _DAMAGE)


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
