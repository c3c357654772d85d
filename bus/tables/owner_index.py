"""An index of rows by the people they concern, so that finding one person's rows does not read all.

Like the index of due rows (`bus/tables/due_index.py`), it is a function of the rows and lives in the same store.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import islice

from bus.tables.store import OWN_KEYS, Store
from bus.tables.versions import Row

OwnersOf = Callable[[bytes], Collection[bytes]]
"""Returns the owners of a row, given its value. Called on every write."""

_MARK = OWN_KEYS + b"of:"
_COMPLETE = OWN_KEYS + b"has-owners"
_LENGTH_BYTES = 2


class OwnedRows:
    """Finds the rows of all partitions by owner."""

    def __init__(self, owners_of: OwnersOf) -> None:
        self.owners_of = owners_of

    def complete(self, store: Store, values: Iterator[tuple[bytes, bytes]]) -> None:
        """Index the rows (`values`) of a store that predates the index."""
        if next(store.own_items(_COMPLETE), None) is None:
            for key, value in values:
                store.write({_mark(owner, key): b"" for owner in self.owners_of(value)}, None)
            store.write({_COMPLETE: b""}, None)

    def marks(self, key: bytes, before: bytes | None, after: bytes | None) -> dict[bytes, bytes | None]:
        """Return what to store with a row whose value changes; None: there is no row."""
        old, new = (set() if value is None else set(self.owners_of(value)) for value in (before, after))
        gone: Mapping[bytes, bytes | None] = {_mark(owner, key): None for owner in old - new}
        return {**gone, **{_mark(owner, key): b"" for owner in new - old}}

    def keys(self, store: Store, owner: bytes, limit: int | None = None) -> list[bytes]:
        """Return keys of at most `limit` of a store's rows that concern an owner."""
        prefix = _mark(owner, b"")
        return [mark[len(prefix) :] for mark, _ in islice(store.own_items(prefix), limit)]

    def after(self, keys: Iterable[bytes], changed: Mapping[bytes, Row], owner: bytes) -> set[bytes]:
        """Return which keys of rows concern an owner after some rows have changed; `keys` did before."""
        now = {key for key, (_, value) in changed.items() if value is not None and owner in self.owners_of(value)}
        return now.union(key for key in keys if key not in changed)


def _mark(owner: bytes, key: bytes) -> bytes:
    # The length prevents one owner from being a prefix of another.
    return _MARK + len(owner).to_bytes(_LENGTH_BYTES, "big") + owner + key
