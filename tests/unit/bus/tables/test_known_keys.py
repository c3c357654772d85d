"""A store that knows its keys never claims that an existing row is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.tables.store import OWN_KEYS, KnownKeys, MemoryStore, RocksStore

KEYS = st.lists(st.binary(min_size=1, max_size=30), max_size=50)


@given(first=KEYS, later=KEYS, others=KEYS)
def test_what_was_added_is_never_denied(first: list[bytes], later: list[bytes], others: list[bytes]) -> None:
    known = KnownKeys(first)
    known.add(later)
    assert known.some([*first, *later]) == [*first, *later]
    assert all(found in (None, key) for key, found in zip(others, known.some(others), strict=True))


def test_most_of_what_was_not_added_is_denied() -> None:
    known = KnownKeys(b"acme:+1%010d" % number for number in range(10_000))
    strangers = [b"acme:+44%010d" % number for number in range(10_000)]
    assert known.some(strangers).count(None) > 9_900


@pytest.mark.parametrize("knows_keys", [True, False])
def test_many_rows_are_what_each_row_is_through_writes_deletions_and_restarts(tmp_path: Path, knows_keys: bool) -> None:
    store, plain = RocksStore(tmp_path / "store", knows_keys=knows_keys), MemoryStore()
    keys = [b"%d" % number for number in range(40)] + [OWN_KEYS + b"position"]
    for rows in ({key: key * 2 for key in keys[:20]}, {keys[3]: None, keys[4]: b"new"}, {keys[-1]: b"7"}):
        store.write(rows, None)
        plain.write(rows, None)
        assert store.get_many(keys) == plain.get_many(keys) == [store.get(key) for key in keys]
    store.close()
    again = RocksStore(tmp_path / "store", knows_keys=knows_keys)
    assert again.get_many(keys[:-1]) == plain.get_many(keys[:-1])
    again.wipe()
    assert again.get_many(keys) == [None] * len(keys)
    again.write({keys[0]: b"back"}, None)
    assert again.get_many(keys[:2]) == [b"back", None]
    again.close()
