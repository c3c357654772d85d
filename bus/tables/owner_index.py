"""Which rows of a table are about whom: an index beside the rows, so that one person's are found without reading all.

Like the index of rows that are due (`bus/tables/due_index.py`) it is a function of the rows and lies in the same store.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import islice

from bus.tables.store import OWN_KEYS, Store

OwnersOf = Callable[[bytes], Collection[bytes]]
"""Whom a row (by its value) is about. Asked at every write."""

_MARK = OWN_KEYS + b"of:"
_COMPLETE = OWN_KEYS + b"has-owners"
_LENGTH_BYTES = 2


class OwnedRows:
    """Finds the rows of all partitions by whom they are about."""

    def __init__(self, owners_of: OwnersOf) -> None:
        self.owners_of = owners_of

    def complete(self, store: Store, values: Iterator[tuple[bytes, bytes]]) -> None:
        """Index what lies in a store from the time before there was an index: `values` are its rows."""
        if next(store.own_items(_COMPLETE), None) is None:
            for key, value in values:
                store.write({_mark(owner, key): b"" for owner in self.owners_of(value)}, None)
            store.write({_COMPLETE: b""}, None)

    def marks(self, key: bytes, before: bytes | None, after: bytes | None) -> dict[bytes, bytes | None]:
        """What must be stored with a row whose value changes; None: there is no row."""
        old, new = (set() if value is None else set(self.owners_of(value)) for value in (before, after))
        gone: Mapping[bytes, bytes | None] = {_mark(owner, key): None for owner in old - new}
        return {**gone, **{_mark(owner, key): b"" for owner in new - old}}

    def keys(self, store: Store, owner: bytes, limit: int | None = None) -> list[bytes]:
        """Keys of the rows in a store, at most `limit`, that are about somebody."""
        prefix = _mark(owner, b"")
        return [mark[len(prefix) :] for mark, _ in islice(store.own_items(prefix), limit)]


def _mark(owner: bytes, key: bytes) -> bytes:
    # The length keeps one owner from being the beginning of another.
    return _MARK + len(owner).to_bytes(_LENGTH_BYTES, "big") + owner + key
