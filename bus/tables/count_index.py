"""How many rows of a table have something in common: counters beside the rows, in the same store.

A row has labels by its key and value, and each label is counted. Like the other indexes the counts are a function of
the rows: what is written again after a crash, or read by another worker, counts once, and none needs a changelog.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from bus.tables.store import OWN_KEYS, Store

LabelsOf = Callable[[bytes, bytes], Collection[bytes]]
"""What a row (by its key and value) is counted under. Asked twice at every write."""

_MARK = OWN_KEYS + b"count:"
_COMPLETE = OWN_KEYS + b"has-counts"


class CountedRows:
    """Counts the rows of a partition by label."""

    def __init__(self, labels_of: LabelsOf) -> None:
        self.labels_of = labels_of

    def complete(self, store: Store, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Count what lies in a store from the time before there were counts: `rows` are its keys and values."""
        if store.get(_COMPLETE) is None:
            counts = Counter(label for key, value in rows for label in self.labels_of(key, value))
            store.write({**self.marks(store, counts), _COMPLETE: b""}, None)

    def changes(self, key: bytes, before: bytes | None, after: bytes | None) -> Counter[bytes]:
        """By how much counts change with a row whose value changes; None: there is no row."""
        changes = Counter(self.labels_of(key, after) if after is not None else ())
        changes.subtract(self.labels_of(key, before) if before is not None else ())
        return Counter({label: change for label, change in changes.items() if change})

    def marks(self, store: Store, changes: Mapping[bytes, int]) -> dict[bytes, bytes | None]:
        """What must be stored with rows that change counts so."""
        counts = {label: self.count(store, label) + change for label, change in changes.items()}
        # A count that was forgotten is not there any more when its rows go.
        return {_MARK + label: b"%d" % count if count > 0 else None for label, count in counts.items()}

    def count(self, store: Store, label: bytes) -> int:
        """How many rows of a store have a label."""
        return int(store.get(_MARK + label) or 0)

    def counts(self, store: Store, prefix: bytes) -> Iterator[tuple[bytes, int]]:
        """The labels that begin so, with their counts."""
        return ((mark[len(_MARK) :], int(count)) for mark, count in store.own_items(_MARK + prefix))

    def forget(self, store: Store, labels: Iterable[bytes]) -> None:
        """Count what has these labels from nothing on."""
        store.write(dict.fromkeys(_MARK + label for label in labels), None)
