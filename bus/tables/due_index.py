"""Which rows of a table ask to be looked at again, and when: an index beside the rows.

It is a function of the rows and lies in the same store, so that it survives restarts and needs no changelog of its
own. While no row asks, it is empty and costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice

from bus.clock import now_seconds
from bus.tables.store import OWN_KEYS, Store

DueAt = Callable[[bytes], int | None]
"""When a row (by its value) is due, in ms since 1970, or None. Asked at every write."""

_MARK = OWN_KEYS + b"due:"


class DueRows:
    """The rows of all partitions that are due some time.

    `patience` is in seconds (as `clock` counts them): a row that is found when a partition is taken over is due no
    sooner than that. What was written while nobody read may make it another row.
    """

    def __init__(self, due_at: DueAt, patience: float = 0.0, clock: Callable[[], float] = now_seconds) -> None:
        self._due_at = due_at
        self._patience = patience
        self._clock = clock
        self._rows: dict[int, dict[bytes, int]] = {}

    def load(self, partition: int, store: Store) -> None:
        """Take over what a store holds."""
        soonest = int((self._clock() + self._patience) * 1000)
        self._rows[partition] = {
            key[len(_MARK) :]: max(soonest, int.from_bytes(value, "big")) for key, value in store.own_items(_MARK)
        }

    def marks(self, partition: int, rows: Mapping[bytes, bytes | None]) -> dict[bytes, bytes | None]:
        """Note rows (key and value) that are written; returns what must be stored with them."""
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
        """How many rows are due some time."""
        return sum(map(len, self._rows.values()))

    def until(self, now: int, partitions: Iterable[int], limit: int) -> list[tuple[int, bytes]]:
        """Partition and key of at most `limit` rows of these partitions that are due at `now`."""
        found = ((p, key) for p in partitions for key, at in self._rows.get(p, {}).items() if at <= now)
        return list(islice(found, limit))
