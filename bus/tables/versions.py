"""Row versions: of two records of a key, the higher version wins, whichever was written last.

A tombstone has its version in a header. Readers remember it for a while without the key, so that no older record brings
the row back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from bus.clock import now_ms
from bus.tables.store import OWN_KEYS, Store
from schemas.cloudevents import header

Row = tuple[int, bytes | None]
"""Version and value; None: deleted."""

HEADER = "version"

GONE_MS = 86_400_000
"""Milliseconds to remember the version of a deleted row: as long as Kafka keeps a tombstone."""

_TIME_BITS = 36
"""Bits of a row version for the time; the generation is above them. So a version fits a double, and with it every
reader of `sms.contacts`, until a consumer group has rebalanced 131,072 times."""

_TIMES_BEGIN_MS, _STEP_BITS = 1_704_067_200_000, 4
"""The time of a version counts steps of 16 ms since 2024, until 2058. A row that is written more often in the long run
gets ahead of it, which only matters to rows that are purged."""

_GONE = OWN_KEYS + b"gone:"
_BYTES = 8


def least_version(generation: int, now: int) -> int:
    """Return a version above that of any row written in an earlier group generation, or earlier in time (ms).

    A worker that has lost its partition still writes with an earlier generation. And a row that was purged here but not
    from the changelog must not look newer when it is written again.
    """
    steps = now - _TIMES_BEGIN_MS >> _STEP_BITS
    return generation << _TIME_BITS | min(max(0, steps), (1 << _TIME_BITS) - 1)


def pack(version: int, value: bytes) -> bytes:
    """Pack a row as stored in a store and in a changelog."""
    return version.to_bytes(_BYTES, "big") + value


def unpack(row: bytes) -> tuple[int, bytes]:
    """Return version and value of a packed row."""
    return int.from_bytes(row[:_BYTES], "big"), row[_BYTES:]


def version_header(version: int) -> tuple[str, bytes]:
    """Return the header with the version."""
    return HEADER, b"%d" % version


def version_in(headers: Iterable[tuple[str, bytes]]) -> int | None:
    """Return the version in the headers, or None."""
    value = header(tuple(headers), HEADER)
    return int(value) if value is not None and value.isdigit() and len(value) < 20 else None


def keep_newest(store: Store, rows: Iterable[tuple[bytes, Row]]) -> None:
    """Store rows packed, unless one with a higher version is already there. Deleted ones are kept, empty."""
    newest: dict[bytes, bytes | None] = {}
    for key, (version, value) in rows:
        known = newest.get(key) or store.get(key)
        if known is None or version >= unpack(known)[0]:
            newest[key] = pack(version, value or b"")
    store.write(newest, None)


def known_version(store: Store, key: bytes) -> int:
    """Return the version of a packed row or of its recent deletion; 0 if the key is unknown."""
    row = store.get(key)
    if row is not None:
        return unpack(row)[0]
    mark = store.get(_mark(key))
    return 0 if mark is None else int.from_bytes(mark[:_BYTES], "big")


def gone(key: bytes, version: int) -> dict[bytes, bytes | None]:
    """Return what to store when a row is deleted."""
    now = now_ms()
    return {_mark(key): version.to_bytes(_BYTES, "big") + now.to_bytes(_BYTES, "big")}


def forget_gone(store: Store) -> None:
    """Forget the versions of rows deleted so long ago that no older record can arrive."""
    before = now_ms() - GONE_MS
    old = [mark for mark, value in store.own_items(_GONE) if int.from_bytes(value[_BYTES:], "big") < before]
    store.write(dict.fromkeys(old), None)


def _mark(key: bytes) -> bytes:
    return _GONE + hashlib.blake2b(key, digest_size=16).digest()
