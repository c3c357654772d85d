"""Publishes contact states with the version of their rows, and republishes those that may be overtaken.

A worker cut off from its group may have a state in flight that its successor does not see. Readers that compare
versions skip it, but Kafka's compaction keeps whatever was written last. So whoever takes over partitions republishes
its own recent states once nothing from a predecessor can be in flight anymore.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from msgspec.structs import replace

from accounts.suppression import WHOLE_ACCOUNT
from bus.tables.table import Table
from bus.worker.batch import Batch
from bus.worker.context import Context
from schemas.ids import contact_key, derived_id
from schemas.records import ContactState
from streams import row
from streams.row import ContactRow
from streams.rules.standing import NumberRows, Subject, standing

REACH_MS = 90_000
"""Milliseconds after a rebalance in which a predecessor's record may arrive: twice a producer's delivery time."""

AT_ONCE = 5_000
"""Contacts republished in one tick."""


class Publisher:
    """Publishes contact states. `table` has their rows; `now` returns ms of our own clock."""

    def __init__(self, table: Table, now: Callable[[], int]) -> None:
        self._table = table
        self._now = now
        self._generation: int | None = None
        self._since = 0
        self._overtaken: set[tuple[int, bytes]] = set()

    def publish(self, batch: Batch, partition: int, contact: bytes, state: ContactState, context: Context) -> None:
        """Publish a contact's state. Its row is already in the batch."""
        version = self._version(batch, partition, contact)
        batch.send("contacts", replace(state, version=version), context, key=contact, version=version)
        self._remember(batch, partition, contact)

    def withdraw(self, batch: Batch, partition: int, contact: bytes) -> None:
        """Publish that a contact no longer exists. The deletion of its row is already in the batch."""
        batch.delete("contacts", contact, version=self._version(batch, partition, contact))
        self._remember(batch, partition, contact)

    def again(self, batch: Batch, partition: int, contact: bytes) -> None:
        """Republish a contact according to its row and the one for the whole account."""
        rows = batch.rows(self._table)
        own, whole = (_row(rows.get(partition, each)) for each in (contact, whole_account(contact)))
        state = state_of(contact, own, whole)
        if state is not None:
            self.publish(batch, partition, contact, state, Context(state.last_event_id, state.since))
        elif own is None:
            self.withdraw(batch, partition, contact)

    def tick(self, batch: Batch) -> None:
        """Republish what a predecessor may have overtaken, once that is over."""
        if self._is_in_reach(batch):
            return
        for partition, contact in list(islice(self._overtaken, AT_ONCE)):
            self._overtaken.discard((partition, contact))
            if self._table.is_claimed(partition):
                self.again(batch, partition, contact)

    def _version(self, batch: Batch, partition: int, contact: bytes) -> int:
        # A list's state also depends on the row for the whole account. If both change in the same millisecond, two
        # states have the same version, and the last one written counts: one worker sends both, in order.
        rows = batch.rows(self._table)
        return max(rows.version(partition, each) for each in (contact, whole_account(contact)))

    def _remember(self, batch: Batch, partition: int, contact: bytes) -> None:
        if self._is_in_reach(batch):
            self._overtaken.add((partition, contact))

    def _is_in_reach(self, batch: Batch) -> bool:
        if batch.generation != self._generation:
            self._generation, self._since = batch.generation, self._now()
        return self._now() - self._since < REACH_MS


def state_of(contact: bytes, own: ContactRow | None, whole: ContactRow | None) -> ContactState | None:
    """Return what is published about a contact, by its row and the one for the whole account; None: nothing.

    The latter is published only if the number was ever removed account-wide, or to give the number of an id.
    """
    account, list_number, number = contact.decode().split(":", 2)
    if not list_number and own is not None and not own.removed_at and own.known_as is None:
        return None
    state = standing(NumberRows(own, whole if list_number else None), Subject(account, list_number, number))
    if own is None and state.active:
        return None
    return replace(state, last_event_id=derived_id("republish", contact.decode(), state.since, state.failures))


def whole_account(contact: bytes) -> bytes:
    """Return the key of the account-wide row for a contact's number."""
    account, _, number = contact.decode().split(":", 2)
    return contact_key(account, WHOLE_ACCOUNT, number).encode()


def _row(value: bytes | None) -> ContactRow | None:
    return None if value is None else row.from_bytes(value)
