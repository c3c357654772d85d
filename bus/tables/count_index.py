"""Counts of rows that share a label, stored beside the rows.

A row's labels derive from its key and value. Like the other indexes, the counts are a function of the rows: a row
rewritten after a crash, or read by another worker, counts once, and no changelog is needed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from bus.tables.store import OWN_KEYS, Store

LabelsOf = Callable[[bytes, bytes], Sequence[bytes]]
"""Returns the labels of a row, given its key and value. Called twice per write."""

_VERSION = b"3"
"""Changes with the labels. A store written by another version has other labels, so it is counted again."""

_MARKS = OWN_KEYS + b"count:"
_MARK = _MARKS + _VERSION + b":"
_COMPLETES = OWN_KEYS + b"has-counts"
_COMPLETE = _COMPLETES + b":" + _VERSION


class CountedRows:
    """Counts a partition's rows by label."""

    def __init__(self, labels_of: LabelsOf) -> None:
        self.labels_of = labels_of

    def complete(self, store: Store, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Count the rows (keys and values) of a store unless this version has done so, and no other since."""
        complete = [mark for mark, _ in store.own_items(_COMPLETES)]
        if complete != [_COMPLETE]:
            marks = [mark for mark, _ in store.own_items(_MARKS)]
            store.write(dict.fromkeys((*marks, *complete)), None)
            counts = Counter(label for key, value in rows for label in self.labels_of(key, value))
            store.write({**self.marks(store, counts), _COMPLETE: b""}, None)

    def changes(self, key: bytes, before: bytes | None, after: bytes | None) -> dict[bytes, int]:
        """Return how the counts change with a row's value; None: there is no row."""
        new = self.labels_of(key, after) if after is not None else ()
        old = self.labels_of(key, before) if before is not None else ()
        if new == old:
            return {}
        changes: dict[bytes, int] = {}
        for labels, change in (new, 1), (old, -1):
            for label in labels:
                changes[label] = changes.get(label, 0) + change
        return {label: change for label, change in changes.items() if change}

    def marks(self, store: Store, changes: Mapping[bytes, int]) -> dict[bytes, bytes | None]:
        """Return what to store with rows that cause these changes."""
        counts = {label: self.count(store, label) + change for label, change in changes.items()}
        # A count that was forgotten no longer exists when its rows are deleted.
        return {_MARK + label: b"%d" % count if count > 0 else None for label, count in counts.items()}

    def count(self, store: Store, label: bytes) -> int:
        """Return how many rows of a store have a label."""
        return int(store.get(_MARK + label) or 0)

    def counts(self, store: Store, prefix: bytes) -> Iterator[tuple[bytes, int]]:
        """Return the counts of labels with this prefix."""
        return ((mark[len(_MARK) :], int(count)) for mark, count in store.own_items(_MARK + prefix))

    def forget(self, store: Store, labels: Iterable[bytes]) -> None:
        """Reset the counts of labels with this prefix."""
        store.write(dict.fromkeys(_MARK + label for label in labels), None)
