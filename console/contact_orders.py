"""Orders about contacts, by the API and by pages: on Kafka, and in the audit log, before they are answered."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from console.claims import Accepted
from console.principals import Principal
from console.writer import Entry, Writer
from operations.audit import DONE
from schemas.ids import derived_id, recipient_key
from schemas.records import AuditEntry, ContactCommand

NO_LIST = ""
"""The list of an erasure that means what is known of the number on no list."""


async def order(
    writer: Writer,
    principal: Principal,
    account: str,
    command: str,
    list_numbers: Sequence[str],
    numbers: Sequence[str],
    accepted: Accepted,
    *,
    reason: str | None = None,
    note: str = "",
    remote_ip: str = "",
) -> None:
    """Order a command about each number on each list. `note` is what a person wrote about it, for the audit log.

    The audit log has it first: what was ordered is never without an entry. Raises ApiError (503).
    """
    contacts = [(listed, number) for listed in list_numbers for number in numbers]
    orders = [
        ContactCommand(
            event_id=accepted.event_id(index),
            command=command,
            account=account,
            list_number=listed,
            phone_number=number,
            issued_by=principal.name,
            issued_at=accepted.at,
            reason=None if reason == "manual" else reason,
        )
        for index, (listed, number) in enumerate(contacts)
    ]
    details = {"lists": list(list_numbers), "contacts": len(numbers), "reason": reason, "note": note}
    audited = AuditEntry(
        event_id=derived_id(accepted.seed, "audit"),
        account=account,
        actor=principal.actor,
        action=f"contact.{command}",
        # An erased number must not live on here.
        object=numbers[0] if len(numbers) == 1 and command != "erase" else "",
        details=orjson.dumps({name: value for name, value in details.items() if value}).decode(),
        remote_ip=remote_ip,
        request_id="",
        outcome=DONE,
        at=accepted.at,
    )
    await writer.write("audit", [Entry(account.encode(), audited, audited.event_id, accepted.at)])
    await writer.write(
        "commands",
        [Entry(recipient_key(account, each.phone_number), each, each.event_id, accepted.at) for each in orders],
    )
