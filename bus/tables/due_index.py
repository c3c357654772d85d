"""An index of rows that want to be revisited at a certain time.

It is a function of the rows and lives in the same store, so it survives restarts and needs no changelog. It costs
nothing while no row is due.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice

from bus.clock import now_seconds
from bus.tables.store import OWN_KEYS, Store

DueAt = Callable[[bytes], int | None]
"""Returns when a row is due, in ms since 1970, given its value, or None. Called on every write."""

_MARK = OWN_KEYS + b"due:"


class DueRows:
    """The rows of all partitions that have a due time.

    `patience`, in seconds of `clock`, delays rows found when a partition is taken over: unread records may change them
    first.
    """

    def __init__(self, due_at: DueAt, patience: float = 0.0, clock: Callable[[], float] = now_seconds) -> None:
        self._due_at = due_at
        self._patience = patience
        self._clock = clock
        self._rows: dict[int, dict[bytes, int]] = {}

    def load(self, partition: int, store: Store) -> None:
        """Load a store's entries."""
        soonest = int((self._clock() + self._patience) * 1000)
        self._rows[partition] = {
            key[len(_MARK) :]: max(soonest, int.from_bytes(value, "big")) for key, value in store.own_items(_MARK)
        }

    def marks(self, partition: int, rows: Mapping[bytes, bytes | None]) -> dict[bytes, bytes | None]:
        """Index rows (keys and values) that are being written; returns what to store with them."""
        due = self._rows.setdefault(partition, {})
        marks: dict[bytes, bytes | None] = {}
        for key, value in rows.items():
            at = None if value is None else self._due_at(value)
            if at is not None:
                due[key] = at
                marks[_MARK + key] = at.to_bytes(8, "big")
            elif due.pop(key, None) is not None:
                marks[_MARK + key] = None
        return marks

    def keep(self, partitions: Iterable[int]) -> None:
        """Forget all other partitions."""
        kept = set(partitions)
        self._rows = {partition: due for partition, due in self._rows.items() if partition in kept}

    def count(self) -> int:
        """Number of rows with a due time."""
        return sum(map(len, self._rows.values()))

    def until(self, now: int, partitions: Iterable[int], limit: int) -> list[tuple[int, bytes]]:
        """Return partition and key of at most `limit` rows in these partitions that are due at `now`."""
        found = ((p, key) for p in partitions for key, at in self._rows.get(p, {}).items() if at <= now)
        return list(islice(found, limit))
