"""List brakes: they hold removals by rules, and carry out people's decisions about the held ones.

Each partition has its own brake for each list. Its counts (contacts, removals, holds) are functions of its contacts'
rows, through the table's indexes, so a report that is read again, after a crash or by another worker, counts once. A
decision reaches every partition in the same order, and is carried out step by step in ticks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

from accounts.brakes import Brake
from accounts.suppression import WHOLE_ACCOUNT
from bus.tables.table import Table
from bus.worker.batch import Batch
from bus.worker.context import Context
from bus.worker.inbox import Admitted
from schemas.ids import derived_id
from schemas.records import COMMAND_PROVIDER, CONFIRM, ContactCommand, RemovalsHeld
from streams import brake_row
from streams.brake_row import BrakeRow, Decision, carried_out, decided
from streams.copied import written_at
from streams.row import STEP_MS, ContactRow, held_label, holder, ruled_label, size_label
from streams.rules.brake import STEPS, BrakeVerdict, is_too_many, received_at
from streams.rules.outcome import Cause, ContactChange, released, removed

CARRIED_OUT_AT_ONCE = 2_000
"""Held contacts that one tick removes or releases."""

Apply = Callable[[Batch, int, bytes, int, Callable[[ContactRow | None], ContactChange]], None]
"""Applies a rule to a contact's row: batch, partition, key, time (ms) of the results, rule."""


class Brakes:
    """Reads and writes the rows of brakes. `partitions` are those of the topics keyed by recipient."""

    def __init__(self, brakes: Table, contacts: Table, partitions: int) -> None:
        self._brakes = brakes
        self._contacts = contacts
        self._partitions = partitions

    def judge(
        self,
        batch: Batch,
        partition: int,
        account: str,
        list_number: str | None,
        setting: Brake,
        lists: Collection[str],
    ) -> Judging:
        """Return the judge of removals by rules from a list or, without one, from every list of the account
        (`lists`)."""
        places = [_place(account, each) for each in ((list_number,) if list_number else (WHOLE_ACCOUNT, *lists))]
        return Judging(self, batch, partition, places, setting)

    def decide(self, batch: Batch, source: Admitted, order: ContactCommand) -> None:
        """Handle a command about a brake's held removals. It arrives once, with a key, and is forwarded to every
        partition."""
        record = source.record
        if record.key is not None:
            batch.send_to_all("commands", order, Context(order.event_id, order.issued_at, source.traceparent))
            return
        place = _place(order.account, order.list_number)
        before = self.row(batch, record.partition, place)
        after = decided(before, order.event_id, order.command, written_at(record) or order.issued_at)
        if after is not before:
            batch.rows(self._brakes).put(record.partition, place, brake_row.to_bytes(after))

    def carry_out(self, batch: Batch, now: int, apply: Apply) -> None:
        """Remove or release the contacts held at the time of a decision, up to the limit per tick."""
        left = CARRIED_OUT_AT_ONCE
        for partition, place in self._brakes.due(now, left):
            decision = self.row(batch, partition, place).decisions[0]
            contacts = self._held(partition, place, decision, left)
            left -= len(contacts)
            for contact in contacts:
                apply(batch, partition, contact, decision.at, partial(_carry_out, decision=decision))
            if left <= 0:
                break
            if not contacts:
                # Write the last ones in an earlier tick, because only then does the index show that none is left.
                row = carried_out(self.row(batch, partition, place))
                batch.rows(self._brakes).put(partition, place, brake_row.to_bytes(row))

    def row(self, batch: Batch, partition: int, place: bytes) -> BrakeRow:
        """Return a brake's row as the batch sees it."""
        value = batch.rows(self._brakes).get(partition, place)
        return BrakeRow() if value is None else brake_row.from_bytes(value)

    def count(self, batch: Batch, partition: int, label: bytes) -> int:
        """Return how many contacts of a partition have a label."""
        return batch.rows(self._contacts).count(partition, label)

    @property
    def partitions(self) -> int:
        """The number of partitions over which contacts are spread."""
        return self._partitions

    def _held(self, partition: int, place: bytes, decision: Decision, limit: int) -> list[bytes]:
        """Return the contacts that a decision concerns. A contact restored from `sms.contacts` counts as held since the
        beginning."""
        found = self._contacts.keys_of(partition, holder(place, decision.after), limit)
        return found or self._contacts.keys_of(partition, holder(place, ""), limit)


class Judging:
    """Judges removals in one partition by the brake of the first of these places (`account:list_number`); the contacts
    may belong to any of them. `engaged` is set once it holds one."""

    def __init__(self, brakes: Brakes, batch: Batch, partition: int, places: list[bytes], setting: Brake) -> None:
        self.place = places[0].decode()
        self.engaged: RemovalsHeld | None = None
        self._brakes = brakes
        self._batch = batch
        self._partition = partition
        self._places = places
        self._setting = setting

    def __call__(self, cause: Cause, reason: str) -> BrakeVerdict:
        """Hold a removal that is one too many, and any other while there are undecided holds."""
        place, at = self._places[0], received_at(cause)
        row = self._brakes.row(self._batch, self._partition, place)
        if self._setting.is_off:
            return BrakeVerdict(False, row.era)
        if self._count(held_label(place, row.last)):
            return BrakeVerdict(True, row.era, row.last)
        contacts = max(self._count(size_label(each)) for each in self._places)

        def removed_in(step: int) -> int:
            return self._count(ruled_label(place, row.era, step))

        if not is_too_many(removed_in, contacts, at, self._setting, self._brakes.partitions):
            return BrakeVerdict(False, row.era)
        step = at // STEP_MS
        gone = sum(map(removed_in, range(step - STEPS + 1, step + 1)))
        account, _, list_number = self.place.partition(":")
        self.engaged = RemovalsHeld(
            event_id=derived_id(cause.event_id, "held", list_number),
            account=account,
            list_number=list_number,
            partition=self._partition,
            reason=reason,
            removed=gone,
            contacts=contacts + gone,
            timestamp=at,
        )
        return BrakeVerdict(True, row.era, row.last)

    def _count(self, label: bytes) -> int:
        return self._brakes.count(self._batch, self._partition, label)


def _carry_out(row: ContactRow | None, decision: Decision) -> ContactChange:
    """Carry out a decision for a held contact: remove it as originally intended, or release it with its failures reset.
    A contact that is no longer held stays as it is."""
    if row is None or row.held is None:
        return ContactChange(row or ContactRow(since=decision.at))
    hold = row.held
    account = hold.place.partition(":")[0]
    if decision.command != CONFIRM:
        cause = Cause(decision.order, account, COMMAND_PROVIDER, decision.at, decision.order)
        return ContactChange(released(row, decision.at), cause=cause)
    cause = Cause(
        hold.event_id, account, hold.provider, hold.at, hold.told, hold.message_id, received_at=hold.received_at
    )
    return ContactChange(removed(row, hold.reason, hold.at), cause=cause)


def _place(account: str, list_number: str) -> bytes:
    return f"{account}:{list_number}".encode()
