"""States of contacts on their public topic, each with the version of its row, and again where it may be overtaken.

A worker that was cut off from its group may have a state under way that its successor does not see. Readers who
compare versions pass it over, but Kafka's compaction keeps what was written last. So whoever takes partitions over
publishes what it has published since once more, when nothing of a predecessor can be under way any longer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice

from accounts.suppression import WHOLE_ACCOUNT
from bus.tables.table import Table
from bus.worker.batches import Batch
from schemas.ids import contact_key, derived_id
from schemas.records import ContactState
from streams import row
from streams.row import ContactRow
from streams.rules.standing import Place, Rows, standing

REACH_MS = 90_000
"""How long after a rebalance a record of a predecessor may arrive: twice the time that a producer tries to send one."""

AT_ONCE = 5_000
"""Contacts that are published again in one tick."""


class Publisher:
    """Publishes states of contacts. `table` has their rows; `now` gives ms by our own clock."""

    def __init__(self, table: Table, now: Callable[[], int]) -> None:
        self._table = table
        self._now = now
        self._generation: int | None = None
        self._since = 0
        self._overtaken: set[tuple[int, bytes]] = set()

    def publish(
        self,
        batch: Batch,
        partition: int,
        contact: bytes,
        state: ContactState | None,
        *,
        event_id: str,
        at: int,
        traceparent: bytes | None = None,
    ) -> None:
        """Publish the state of a contact, or that there is none any more. Its row is in the batch already."""
        rows = batch.rows(self._table)
        # A state on a list hangs on the row for the whole account too. Where both change in one millisecond, two states
        # have one version, and the one that is written last counts: they come from one worker, in order.
        version = max(rows.version(partition, each) for each in (contact, _whole_account(contact)))
        state = None if state is None else replace(state, version=version)
        batch.send("contacts", state, key=contact, event_id=event_id, at=at, traceparent=traceparent, version=version)
        if self._is_in_reach(batch):
            self._overtaken.add((partition, contact))

    def again(self, batch: Batch, partition: int, contact: bytes) -> None:
        """Publish a contact as its row says, held against that for the whole account. That one is published only where
        the number was ever out for the whole account, and where it says by which number an id goes.
        """
        rows = batch.rows(self._table)
        own, whole = (_row(rows.get(partition, each)) for each in (contact, _whole_account(contact)))
        account, list_number, number = contact.decode().split(":", 2)
        if not list_number and own is not None and not own.removed_at and own.known_as is None:
            return
        place = Place(account, list_number, number)
        state = standing(Rows(own, whole if list_number else None), place)
        if own is None and state.active:
            event_id = derived_id("republish", contact.decode(), "erased")
            self.publish(batch, partition, contact, None, event_id=event_id, at=self._now())
            return
        event_id = derived_id("republish", contact.decode(), state.since, state.failures)
        state = replace(state, last_event_id=event_id)
        self.publish(batch, partition, contact, state, event_id=event_id, at=state.since)

    def tick(self, batch: Batch) -> None:
        """Publish again what a predecessor may have overtaken, once it can no longer."""
        if self._is_in_reach(batch):
            return
        for partition, contact in list(islice(self._overtaken, AT_ONCE)):
            self._overtaken.discard((partition, contact))
            if self._table.is_claimed(partition):
                self.again(batch, partition, contact)

    def _is_in_reach(self, batch: Batch) -> bool:
        if batch.generation != self._generation:
            self._generation, self._since = batch.generation, self._now()
        return self._now() - self._since < REACH_MS


def _whole_account(contact: bytes) -> bytes:
    """Key of the row for the whole account of the number of a contact."""
    account, _, number = contact.decode().split(":", 2)
    return contact_key(account, WHOLE_ACCOUNT, number).encode()


def _row(value: bytes | None) -> ContactRow | None:
    return None if value is None else row.from_bytes(value)
