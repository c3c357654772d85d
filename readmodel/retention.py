"""Deletes old rows of the read model: a few at a time, each found by an index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, select, true

from database.tables import (
    alerts,
    answers,
    attempts,
    audit,
    contact_changes,
    dead_webhooks,
    events,
    evidence,
    hourly_attempts,
    hourly_events,
    hourly_latencies,
    hourly_messages,
    message_tags,
    messages,
    minutely_events,
    receipts,
    receivers,
    rejected,
    replies,
)

TIMES: Mapping[Table, str] = {
    messages: "updated_at",
    events: "at",
    receipts: "received_at",
    replies: "received_at",
    contact_changes: "at",
    attempts: "at",
    dead_webhooks: "died_at",
    rejected: "rejected_at",
    alerts: "at",
    audit: "at",
    evidence: "recorded_at",
    answers: "recorded_at",
}
"""Tables that are purged, and the column with a row's age. Tags go with their messages."""

_BY_TIME_ALONE = (receipts, contact_changes, evidence, answers)
"""Tables with an index on time alone; the others have one on account and time."""

COUNTS = (
    (hourly_events, "hour", True),
    (hourly_messages, "hour", True),
    (hourly_attempts, "hour", True),
    (hourly_latencies, "hour", True),
    (minutely_events, "minute", False),
    (receivers, "day", False),
)
"""Count tables, their time column, and whether they are kept as long as the hourly counts."""


def purge(
    connection: Connection,
    before: int,
    hourly_before: int,
    evidence_before: int,
    answers_before: int,
    most: int,
) -> int:
    """Delete at most this many rows older than a time (ms), and the oldest day of older counts.

    The audit log is kept as long as the hourly counts; evidence of consent and answers of checks as long as their own
    settings say.

    Returns the number deleted; 0 when nothing is left to delete.
    """
    special = {audit: hourly_before, evidence: evidence_before, answers: answers_before}
    for table, name in TIMES.items():
        time, last = table.c[name], special.get(table, before)
        for part in _parts(connection, table):
            old = select(table.c.id).where(part, time < last).order_by(time).limit(most)
            if table is messages:
                # Of equal times, the same rows must be chosen twice.
                old = old.order_by(table.c.id)
                connection.execute(delete(message_tags).where(message_tags.c.message.in_(old)))
            gone = connection.execute(delete(table).where(table.c.id.in_(old))).rowcount
            if gone:
                return gone
    for table, name, is_hourly in COUNTS:
        time, last = table.c[name], hourly_before if is_hourly else before
        for part in _parts(connection, table):
            oldest = connection.execute(select(func.min(time)).where(part)).scalar()
            if oldest is not None and oldest < last:
                upto = min(oldest + 86_400_000, last)
                return connection.execute(delete(table).where(and_(part, time < upto))).rowcount
    return 0


def _parts(connection: Connection, table: Table) -> Iterator[ColumnElement[bool]]:
    """Return conditions that split a table so that an index finds the oldest rows of each part."""
    if table in _BY_TIME_ALONE:
        yield true()
        return
    account: Any = connection.execute(select(func.min(table.c.account))).scalar()
    while account is not None:
        yield table.c.account == account
        account = connection.execute(select(func.min(table.c.account)).where(table.c.account > account)).scalar()
