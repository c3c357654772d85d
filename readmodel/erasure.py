"""Erasure of a number from the read model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from sqlalchemy import Connection, delete, func, select, update

from database.tables import (
    answers,
    attempts,
    audit,
    contact_changes,
    contacts,
    dead_webhooks,
    events,
    evidence,
    message_tags,
    messages,
    receipts,
    rejected,
    replies,
)
from schemas.ids import callback_event_id, sent_event_id

OF_A_NUMBER = (messages, receipts, replies, contacts, contact_changes, events, evidence, answers)
"""Tables whose rows concern one number, in the column `number`."""

ERASED = "[erased]"

IDS_AT_ONCE = 500

CALLBACK_EVENTS = ("sent", "delivered", "undelivered")
"""Events sent to a message's callback URL."""


def _callback_ids(connection: Connection, account: str, number: str) -> Iterator[str]:
    """Return the ids of events that callback URLs of messages to the number may have received; no event table has
    them."""
    sent = select(messages.c.provider, messages.c.provider_message_id).where(
        messages.c.account == account, messages.c.number == number
    )
    for provider, provider_message_id in connection.execute(sent).all():
        sent_id = sent_event_id(account, provider, provider_message_id)
        reports = select(receipts.c.event_id).where(
            receipts.c.account == account,
            receipts.c.provider == provider,
            receipts.c.provider_message_id == provider_message_id,
        )
        for source in (sent_id, *connection.execute(reports).scalars()):
            for event in CALLBACK_EVENTS:
                yield callback_event_id(source, event)


def erase(connection: Connection, account: str, number: str) -> None:
    """Delete a number from an account's tables, and mask it in the audit log.

    The delivery attempts of its events are deleted too, because a customer's answer may repeat the number. Hourly
    counts stay: they contain no numbers.
    """
    told = select(events.c.event_id).where(events.c.account == account, events.c.number == number)
    for table in (attempts, dead_webhooks):
        connection.execute(delete(table).where(table.c.account == account, table.c.event_id.in_(told)))
    proven = select(evidence.c.event_id).where(evidence.c.account == account, evidence.c.number == number)
    connection.execute(
        delete(evidence).where(
            evidence.c.account == account,
            evidence.c.kind == "webhook",
            evidence.c.event_id.in_(proven.scalar_subquery()),
        )
    )
    for some in _some(_callback_ids(connection, account, number), IDS_AT_ONCE):
        connection.execute(delete(attempts).where(attempts.c.account == account, attempts.c.event_id.in_(some)))
    connection.execute(
        delete(dead_webhooks).where(dead_webhooks.c.account == account, dead_webhooks.c.number == number)
    )
    sent = select(messages.c.id).where(messages.c.account == account, messages.c.number == number)
    connection.execute(delete(message_tags).where(message_tags.c.message.in_(sent)))
    for table in OF_A_NUMBER:
        connection.execute(delete(table).where(table.c.account == account, table.c.number == number))
    # Items are the providers' own texts, which may contain a number without its plus.
    digits = number.lstrip("+")
    found = rejected.c.item.contains(digits, autoescape=True)
    connection.execute(delete(rejected).where(rejected.c.account.in_((account, "")), found))
    for column in (audit.c.object, audit.c.details):
        found = column.contains(number, autoescape=True)
        replaced = func.replace(column, number, ERASED)
        connection.execute(update(audit).where(audit.c.account == account, found).values({column: replaced}))


def _some(ids: Iterable[str], most: int) -> Iterator[list[str]]:
    rest = iter(ids)
    while some := list(islice(rest, most)):
        yield some
