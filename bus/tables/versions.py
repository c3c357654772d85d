"""Versions of rows: of two records of a key the higher counts, whichever was written last.

A record that deletes has its version in a header. Who has read it remembers the version for a while, without the key,
so that no older record brings the row back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from bus.clock import now_ms
from bus.tables.store import OWN_KEYS, Store
from schemas.cloudevents import header

HEADER = "version"

GONE_MS = 86_400_000
"""How long the version of a deleted row is remembered: as long as Kafka keeps a record that deletes."""

_GONE = OWN_KEYS + b"gone:"
_BYTES = 8


def pack(version: int, value: bytes) -> bytes:
    """A row as it lies in a store and in a changelog."""
    return version.to_bytes(_BYTES, "big") + value


def unpack(row: bytes) -> tuple[int, bytes]:
    """Version and value of a packed row."""
    return int.from_bytes(row[:_BYTES], "big"), row[_BYTES:]


def version_header(version: int) -> tuple[str, bytes]:
    """The header that tells the version."""
    return HEADER, b"%d" % version


def version_in(headers: Iterable[tuple[str, bytes]]) -> int | None:
    """The version that headers tell, or None."""
    value = header(tuple(headers), HEADER)
    return int(value) if value is not None and value.isdigit() and len(value) < 20 else None


def known_version(store: Store, key: bytes) -> int:
    """Version of a packed row, or with which it was deleted of late; 0 where nothing is known of the key."""
    row = store.get(key)
    if row is not None:
        return unpack(row)[0]
    mark = store.get(_mark(key))
    return 0 if mark is None else int.from_bytes(mark[:_BYTES], "big")


def gone(key: bytes, version: int) -> dict[bytes, bytes | None]:
    """What must be stored when a row is deleted."""
    now = now_ms()
    return {_mark(key): version.to_bytes(_BYTES, "big") + now.to_bytes(_BYTES, "big")}


def forget_gone(store: Store) -> None:
    """Forget the versions of what was deleted too long ago for an older record to come."""
    before = now_ms() - GONE_MS
    old = [mark for mark, value in store.own_items(_GONE) if int.from_bytes(value[_BYTES:], "big") < before]
    store.write(dict.fromkeys(old), None)


def _mark(key: bytes) -> bytes:
    return _GONE + hashlib.blake2b(key, digest_size=16).digest()
