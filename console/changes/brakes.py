"""Decisions about a brake's held removals, shared by the API and the pages."""

from __future__ import annotations

from accounts.suppression import ALL_LISTS, WHOLE_ACCOUNT
from console.backends.idempotency import Accepted
from console.backends.kafka_writer import Entry
from console.changes.acts import Act
from console.errors import not_found
from schemas.records import ContactCommand, ListConfig


async def decide(
    act: Act,
    account: str,
    lists: dict[str, ListConfig],
    list_number: str,
    command: str,
    accepted: Accepted,
) -> None:
    """Confirm or release the held removals of a list, or of every list (`all`).

    `command` is `confirm` or `release`. The audit log has it first. Raises ApiError: 404 for another list, 503.
    """
    if list_number not in (*lists, ALL_LISTS):
        raise not_found(f"There is no list {list_number!r} in this account.")
    order = ContactCommand(
        event_id=accepted.event_id(0),
        command=command,
        account=account,
        list_number=WHOLE_ACCOUNT if list_number == ALL_LISTS else list_number,
        phone_number="",
        issued_by=act.principal.name,
        issued_at=accepted.at,
    )
    async with act.audited(f"brake.{command}", list_number, accounts=[account]):
        # Without a recipient's key: streams forwards it to every partition.
        await act.parts.writer.write("commands", [Entry(account.encode(), order, order.event_id, accepted.at)])
