"""A table's rows as a batch sees and changes them."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping

from bus.tables.table import Table
from bus.tables.versions import Row

RECORD_OVERHEAD = 512
"""Bytes that Kafka adds to a record that is alone in its batch, with some reserve."""


class TooLarge(ValueError):
    """A record is too large for its topic. Raised before anything of its source record is sent."""


class Rows:
    """One table's rows as a batch sees them: stored rows, overlaid with the batch's own writes.

    They are written only in the batch's group generation. `least_version` is at least as high as any version that a
    worker which lost the partition may have written (`bus.tables.versions.least_version`).
    """

    def __init__(self, table: Table, generation: int, least_version: int) -> None:
        self._table = table
        self._generation = generation
        self._least_version = least_version
        self._written: dict[int, dict[bytes, Row]] = {}
        self._read: dict[tuple[int, bytes], Row] = {}
        self._undo: list[tuple[int, bytes, Row | None, Mapping[bytes, int]]] = []
        self._changes: defaultdict[int, Counter[bytes]] = defaultdict(Counter)

    def get(self, partition: int, key: bytes) -> bytes | None:
        """Return the value of a row, or None."""
        written = self._written.get(partition)
        if written is not None and key in written:
            return written[key][1]
        return self._stored(partition, key)[1]

    def version(self, partition: int, key: bytes) -> int:
        """Return the version of a row or of its deletion; 0 if the key is unknown."""
        written = self._written.get(partition, {}).get(key)
        if written is not None:
            return written[0]
        version, value = self._stored(partition, key)
        return self._table.version(partition, key) if value is None else version

    def keys_of(self, partition: int, owner: bytes) -> list[bytes]:
        """Return the sorted keys of rows that concern an owner, by the table's `owned_rows` index."""
        index = self._table.owned_rows
        if index is None:
            return []
        return sorted(index.after(self._table.keys_of(partition, owner), self._written.get(partition, {}), owner))

    def count(self, partition: int, label: bytes) -> int:
        """Return how many rows have a label, by the table's `counted_rows` index."""
        return self._table.count(partition, label) + self._changes[partition][label]

    def put(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Write or delete (None) a row once the batch becomes durable; the last write wins.

        Raises TooLarge.
        """
        size = len(key) + len(value or b"") + RECORD_OVERHEAD
        if size > self._table.max_bytes:
            raise TooLarge(f"the row has {size} bytes; table {self._table.name} accepts {self._table.max_bytes}")
        written = self._written.setdefault(partition, {})
        before = written.get(key)
        version = max(self.version(partition, key) + 1, self._least_version) if before is None else before[0]
        changes: Mapping[bytes, int] = {}
        if self._table.counted_rows is not None:
            old = (before or self._stored(partition, key))[1]
            changes = self._table.counted_rows.changes(key, old, value)
            if changes:
                self._changes[partition].update(changes)
        written[key] = (version, value)
        self._undo.append((partition, key, before, changes))

    def begin(self) -> None:
        """Start recording writes that may be undone."""
        self._undo.clear()

    def take_back(self) -> None:
        """Undo the writes since `begin`."""
        for partition, key, before, changes in reversed(self._undo):
            self._changes[partition].subtract(changes)
            if before is not None:
                self._written[partition][key] = before
            else:
                del self._written[partition][key]
        self._written = {partition: rows for partition, rows in self._written.items() if rows}
        self._undo.clear()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self._written

    def decide(self) -> None:
        """Let the table show these writes to later batches, before they are written."""
        for partition, rows in self._written.items():
            self._table.in_flight.add(partition, rows, self._changes[partition])

    async def write(self) -> None:
        """Write everything to the table."""
        await asyncio.gather(*(self._table.write(p, rows, self._generation) for p, rows in self._written.items()))

    def _stored(self, partition: int, key: bytes) -> Row:
        """Return a row as it was before the batch. It is read once: most rows are read several times, and nothing else
        writes them meanwhile."""
        row = self._read.get((partition, key))
        if row is None:
            row = self._read[partition, key] = self._table.get(partition, key)
        return row
