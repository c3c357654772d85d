"""A person's yes or no to what the brake of a list holds: what the API and the pages have in common."""

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
    """Order that what is held of a list, or of removals from every list (`all`), is removed or released.

    `command` is `confirm` or `release`. It is in the audit log before. Raises ApiError: 404 for another list, 503.
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
        # Not under a recipient's key: streams tells every partition.
        await act.parts.writer.write("commands", [Entry(account.encode(), order, order.event_id, accepted.at)])
