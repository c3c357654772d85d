"""What is left of a number that is erased: nothing, or that it must not be texted, under a pseudonym."""

from __future__ import annotations

from dataclasses import dataclass, replace

from schemas.ids import contact_key, derived_id
from schemas.records import ContactCommand, ContactState
from streams.click_row import ClickRow
from streams.row import ContactRow


@dataclass(frozen=True, slots=True)
class Erasure:
    """What an erasure writes, by contact: rows of the table, and states on the contacts topic. None deletes."""

    rows: dict[str, ContactRow | None]
    states: dict[str, ContactState | None]


def erased(row: ContactRow | None, command: ContactCommand, pseudonym: str) -> Erasure:
    """What the order to erase does to a contact whose row this is.

    A contact that was removed goes on as a removed one under its pseudonym, without the ids of its messages. One that
    is active leaves nothing, also not what an earlier erasure left. One without a row was erased before, or never was.
    """
    account, list_number = command.account, command.list_number
    contact = contact_key(account, list_number, command.phone_number)
    suppressed = contact_key(account, list_number, pseudonym)
    rows: dict[str, ContactRow | None] = {contact: None}
    states: dict[str, ContactState | None] = {contact: None}
    if row is not None:
        rows[suppressed] = states[suppressed] = None
    if row is not None and not row.active:
        after = ContactRow(
            active=False, reason=row.reason, since=row.since, counted_from=row.counted_from, removed_at=row.removed_at
        )
        rows[suppressed] = after
        states[suppressed] = after.state(account, list_number, pseudonym, derived_id(command.event_id, suppressed))
    return Erasure(rows, states if list_number else {})


def without(row: ClickRow, account: str, number: str) -> ClickRow | None:
    """The row of a click after a number of an account is erased; None: nothing is left of it.

    Conversions that went out stay known, so that none goes out twice; they name nobody. A later one is an orphan.
    """
    registrations = tuple(each for each in row.registrations if (each.account, each.phone_number) != (account, number))
    after = replace(row, registrations=registrations)
    return None if after == ClickRow() else after
