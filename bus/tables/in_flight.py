"""Rows that finished batches have decided but not yet written: newer than those in the store."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from typing import NamedTuple

from bus.tables.versions import Row


class Decided(NamedTuple):
    """One batch's rows of a partition, and how they change the counts of labels."""

    rows: Mapping[bytes, Row]
    changes: Mapping[bytes, int]


class InFlight:
    """The decided rows of one table, oldest batch first."""

    def __init__(self) -> None:
        self._rows: defaultdict[int, dict[bytes, Row]] = defaultdict(dict)
        self._changes: defaultdict[int, Counter[bytes]] = defaultdict(Counter)
        self._batches: defaultdict[int, deque[Decided]] = defaultdict(deque)

    def add(self, partition: int, rows: Mapping[bytes, Row], changes: Mapping[bytes, int]) -> None:
        """Add what a batch is going to write. `rows` are recognized by their identity when they are written."""
        self._rows[partition].update(rows)
        self._changes[partition].update(changes)
        self._batches[partition].append(Decided(rows, changes))

    def get(self, partition: int, key: bytes) -> Row | None:
        """Return the newest row; None if no batch in flight has changed it."""
        rows = self._rows.get(partition)
        return rows.get(key) if rows else None

    def of(self, partition: int) -> Mapping[bytes, Row]:
        """Return the newest rows of a partition."""
        return self._rows.get(partition) or {}

    def change(self, partition: int, label: bytes) -> int:
        """Return by how much the count of a label changes once all is written."""
        changes = self._changes.get(partition)
        return changes[label] if changes else 0

    def written(self, partition: int, rows: Mapping[bytes, Row]) -> None:
        """Forget the oldest batch's rows, now in the store, except where a later batch has changed them again."""
        batches = self._batches.get(partition)
        if not batches or batches[0].rows is not rows:
            return
        batch = batches.popleft()
        newest = self._rows[partition]
        for key, row in rows.items():
            if newest.get(key) is row:
                del newest[key]
        self._changes[partition].subtract(batch.changes)
        if not batches:
            del self._rows[partition], self._changes[partition], self._batches[partition]

    def clear(self) -> None:
        """Forget everything: it will not be written."""
        self._rows.clear()
        self._changes.clear()
        self._batches.clear()
