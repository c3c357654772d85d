"""Alarms for rows of a table: what waits is found again in time, also by another worker, and after a restart.

They lie in the table itself, in SLOTS rows of each partition, so that they become durable in one step with the rows
that wait. A loop looks at these few rows at every tick, however many rows the table has, and no start reads them all.
"""

from __future__ import annotations

import zlib
from typing import Protocol

import orjson

SLOTS = 16
SLOT_BYTES = 64 << 10
"""Bound of a slot, which is written whole: some 1,300 alarms with keys of 30 bytes, and 20,000 in a partition."""

_PREFIX = b"alarms:"
"""What the keys of slots begin with. Keys of the table's rows must begin with something else."""


class Rows(Protocol):
    """Rows as a batch sees them."""

    def get(self, partition: int, key: bytes) -> bytes | None:
        """Value of a row, or None."""

    def put(self, partition: int, key: bytes, value: bytes) -> None:
        """Write a row."""


def set_alarm(rows: Rows, partition: int, key: bytes, due_at: int) -> bool:
    """Remember a row until a time in ms; an earlier time that is known stays. False: there is no room."""
    name, alarms = _slot(rows, partition, key)
    known = alarms.get(_text(key))
    if known is not None and known <= due_at:
        return True
    alarms[_text(key)] = due_at
    value = orjson.dumps(alarms)
    if known is None and len(value) > SLOT_BYTES:
        return False
    rows.put(partition, name, value)
    return True


def clear_alarm(rows: Rows, partition: int, key: bytes) -> None:
    """Forget a row."""
    name, alarms = _slot(rows, partition, key)
    if alarms.pop(_text(key), None) is not None:
        rows.put(partition, name, orjson.dumps(alarms))


def due_alarms(rows: Rows, partition: int, now: int) -> list[bytes]:
    """Keys of the rows whose time has come, the earliest first. Costs SLOTS lookups."""
    alarms = [pair for slot in range(SLOTS) for pair in _alarms(rows, partition, _name(slot)).items()]
    return [key.encode("latin-1") for key, due_at in sorted(alarms, key=lambda alarm: alarm[1]) if due_at <= now]


def _slot(rows: Rows, partition: int, key: bytes) -> tuple[bytes, dict[str, int]]:
    name = _name(zlib.crc32(key) % SLOTS)
    return name, _alarms(rows, partition, name)


def _alarms(rows: Rows, partition: int, name: bytes) -> dict[str, int]:
    value = rows.get(partition, name)
    return {} if value is None else orjson.loads(value)


def _name(slot: int) -> bytes:
    return _PREFIX + str(slot).encode()


def _text(key: bytes) -> str:
    # JSON has no bytes; in Latin-1 every byte is a character, and comes back as itself.
    return key.decode("latin-1")
