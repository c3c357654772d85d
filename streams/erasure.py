"""What remains of an erased number: nothing, or a removal under a pseudonym."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from schemas.ids import contact_key, derived_id
from schemas.numbering import canonical
from schemas.records import ContactCommand, ContactState
from streams.click_row import ClickRow
from streams.row import ContactRow
from streams.rules.outcome import removed


@dataclass(frozen=True, slots=True)
class Erasure:
    """What an erasure writes, by contact: table rows, and states on the contacts topic. None deletes."""

    rows: dict[str, ContactRow | None]
    states: dict[str, ContactState | None]


def erased(row: ContactRow | None, command: ContactCommand, pseudonym: str, at: int) -> Erasure:
    """Apply a command to erase to a contact's row. `at` (ms) is when Kafka got it.

    A removed or held contact remains as a removed one under its pseudonym, without message ids. An active one leaves
    nothing, not even what an earlier erasure left. One without a row was erased before, or never existed. The command
    for data outside of any list leaves its time, so that no older record brings the number back.
    """
    account, list_number = command.account, command.list_number
    if row is not None and row.held is not None:
        # Nobody could decide about it anymore.
        row = removed(row, row.held.reason, row.held.at)
    contact = contact_key(account, list_number, command.phone_number)
    suppressed = contact_key(account, list_number, pseudonym)
    rows: dict[str, ContactRow | None] = {contact: None}
    states: dict[str, ContactState | None] = {contact: None}
    if not list_number:
        rows[suppressed] = replace(remains_of(row) or ContactRow(since=at), erased_at=at)
        if row is None or not (row.removed_at or row.known_as):
            return Erasure(rows, {})
    if row is not None:
        states[suppressed] = None
        rows.setdefault(suppressed, remains_of(row))
    if row is not None and not row.active:
        event_id = derived_id(command.event_id, suppressed)
        states[suppressed] = row.state(account, list_number, pseudonym, event_id)
    return Erasure(rows, states)


def remains_of(row: ContactRow | None) -> ContactRow | None:
    """Return what an erasure leaves of a row: the removal, if the number must not be texted."""
    if row is None or row.active:
        return None
    return ContactRow(
        active=False,
        reason=row.reason,
        since=row.since,
        counted_from=row.counted_from,
        removed_at=row.removed_at,
        opted_out=row.opted_out,
        stops=row.stops,
        except_lists=row.except_lists,
    )


def without(row: ClickRow, account: str, number: str) -> ClickRow | None:
    """Return a click's row after a number of an account was erased; None: nothing remains.

    Conversions already sent stay known, without names, so that none is sent twice. Later ones are orphans.
    """
    erased = account, canonical(number)
    registrations = tuple(each for each in row.registrations if (each.account, canonical(each.phone_number)) != erased)
    after = replace(row, registrations=registrations)
    return None if after == ClickRow() else after
