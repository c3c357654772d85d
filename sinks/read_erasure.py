"""What the read model does when a number is erased."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, select, update

from database.tables import (
    attempts,
    audit,
    contact_changes,
    contacts,
    dead_webhooks,
    events,
    messages,
    receipts,
    rejected,
    replies,
)

OF_A_NUMBER = (messages, receipts, replies, contacts, contact_changes, events)
"""Tables whose rows are about one number, in the column `number`."""

ERASED = "[erased]"


def erase(connection: Connection, account: str, number: str) -> None:
    """Delete what an account's tables hold of a number, and take it out of the audit log.

    With its events go the attempts to deliver them, for a customer's answer may repeat it. Counts by the hour stay:
    they name nobody.
    """
    told = select(events.c.event_id).where(events.c.account == account, events.c.number == number)
    for table in (attempts, dead_webhooks):
        connection.execute(delete(table).where(table.c.account == account, table.c.event_id.in_(told)))
    connection.execute(
        delete(dead_webhooks).where(dead_webhooks.c.account == account, dead_webhooks.c.number == number)
    )
    for table in OF_A_NUMBER:
        connection.execute(delete(table).where(table.c.account == account, table.c.number == number))
    # Items are the providers' own texts, in which a number may stand without its plus.
    digits = number.lstrip("+")
    found = rejected.c.item.contains(digits, autoescape=True)
    connection.execute(delete(rejected).where(rejected.c.account.in_((account, "")), found))
    for column in (audit.c.object, audit.c.details):
        found = column.contains(number, autoescape=True)
        replaced = func.replace(column, number, ERASED)
        connection.execute(update(audit).where(audit.c.account == account, found).values({column: replaced}))
