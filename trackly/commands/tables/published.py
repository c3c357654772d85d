"""What streams publishes about contacts, derived from the rows of their table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from msgspec.structs import replace

from accounts.suppression import WHOLE_ACCOUNT
from bus.tables.store import Store
from bus.tables.versions import unpack
from schemas.ids import contact_key
from schemas.records import ContactState
from streams.publisher import state_of, whole_account
from streams.row import from_bytes


def states(store: Store, lists_of: Callable[[str], Mapping[str, object]]) -> Iterator[ContactState]:
    """Yield the state of every contact in a store of rows, with its version, and for a number that was removed for the
    whole account its state on each of the account's lists. Raises RowError."""
    for contact, packed in store.items():
        account, list_number, number = contact.decode().split(":", 2)
        if unpack(packed)[1]:
            yield from _state(store, contact)
        for each in () if list_number != WHOLE_ACCOUNT else lists_of(account):
            listed = contact_key(account, each, number).encode()
            own = store.get(listed)
            if own is None or not unpack(own)[1]:
                yield from _state(store, listed)


def _state(store: Store, contact: bytes) -> Iterator[ContactState]:
    (own_version, own), (whole_version, whole) = (_row(store, key) for key in (contact, whole_account(contact)))
    state = state_of(contact, None if not own else from_bytes(own), None if not whole else from_bytes(whole))
    if state is not None:
        yield replace(state, version=max(own_version, whole_version))


def _row(store: Store, key: bytes) -> tuple[int, bytes]:
    packed = store.get(key)
    return (0, b"") if packed is None else unpack(packed)
