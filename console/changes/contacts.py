"""Commands about contacts, by the API and by pages: on Kafka, and in the audit log, before they are answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from accounts.suppression import ACCOUNT_SCOPE, ALL_LISTS, WHOLE_ACCOUNT
from console.backends.idempotency import Accepted
from console.backends.kafka_writer import Entry
from console.changes.acts import Act, caller_ip
from console.contacts.view import ContactsView
from operations.audit import DONE
from schemas.codec import CodecError
from schemas.ids import derived_id, recipient_key
from schemas.records import REASON_STRENGTH, AuditEntry, ContactCommand

NO_LIST = ""
"""The list of an erasure of data outside of any list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactOrder:
    """A command about each number on each list of an account. `note` is what a person wrote about it, for the audit
    log; `happened_at` (ms) goes with the dated reasons."""

    account: str
    command: str
    list_numbers: Sequence[str]
    numbers: Sequence[str]
    reason: str | None = None
    happened_at: int | None = None
    note: str = ""


async def order(act: Act, given: ContactOrder, accepted: Accepted) -> list[str]:
    """Issue a command.

    The audit log gets it first, so no command is without an entry. Raises ApiError (503). Returns the numbers
    for which it changes nothing, by the copy of contacts at this moment.
    """
    account, command, writer = given.account, given.command, act.parts.writer
    unchanged = [
        number
        for number in given.numbers
        if all(_is_so_already(act.parts.contacts, given, listed, number) for listed in given.list_numbers)
    ]
    contacts = [(listed, number) for listed in given.list_numbers for number in given.numbers]
    orders = [
        ContactCommand(
            event_id=accepted.event_id(index),
            command=command,
            account=account,
            list_number=listed,
            phone_number=number,
            issued_by=act.principal.name,
            issued_at=accepted.at,
            reason=None if given.reason == "manual" else given.reason,
            happened_at=given.happened_at,
        )
        for index, (listed, number) in enumerate(contacts)
    ]
    details = {
        "lists": [each or ALL_LISTS for each in given.list_numbers],
        "contacts": len(given.numbers),
        "reason": given.reason,
        "note": given.note,
        "unchanged": len(unchanged),
    }
    audited = AuditEntry(
        event_id=derived_id(accepted.seed, "audit"),
        account=account,
        actor=act.principal.actor,
        action=f"contact.{command}",
        # An erased number must not live on here.
        object=given.numbers[0] if len(given.numbers) == 1 and command != "erase" else "",
        details=orjson.dumps({name: value for name, value in details.items() if value}).decode(),
        remote_ip=caller_ip(act.request),
        request_id="",
        outcome=DONE,
        at=accepted.at,
    )
    await writer.write("audit", [Entry(account.encode(), audited, audited.event_id, accepted.at)])
    await writer.write(
        "commands",
        [Entry(recipient_key(account, each.phone_number), each, each.event_id, accepted.at) for each in orders],
    )
    return unchanged


def _is_so_already(view: ContactsView, given: ContactOrder, list_number: str, number: str) -> bool:
    """Whether a contact's state already is what a removal or restore would make it."""
    try:
        state = view.recorded.standing(given.account, list_number, number)
    except CodecError:
        return False
    if state is None:
        return given.command == "restore"
    if given.command == "restore":
        return state.active and not state.failures
    is_of_account = state.scope == ACCOUNT_SCOPE and list_number != WHOLE_ACCOUNT
    if given.command != "remove" or state.active or state.held or is_of_account:
        return False
    return REASON_STRENGTH[given.reason or "manual"] <= REASON_STRENGTH.get(state.reason or "", -1)
