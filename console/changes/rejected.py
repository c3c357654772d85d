"""Reprocesses rejected callbacks: reads them from Kafka, and writes them again with the same event id."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from bus.clock import now_ms
from console.backends.kafka_writer import Entry
from console.changes.acts import Act
from console.queries.rejected import RejectedFilter
from database.tables import rejected
from schemas.records import RawCallback

MOST = 50
"""Maximum callbacks of one request; each is looked up on Kafka separately."""

MOST_ROWS = MOST * 20
"""Maximum rejected items of one request; one callback can have many."""


@dataclass(frozen=True, slots=True)
class Retried:
    """How many callbacks are reprocessed, and how many are gone or were not raw callbacks."""

    again: int
    gone: int
    is_all: bool


def sources(connection: Connection, account: str, wanted: RejectedFilter) -> tuple[list[str], bool]:
    """Return the positions of callbacks matching the filter, newest first, and whether these are all.

    Several items of one callback count once.
    """
    query = (
        select(rejected.c.source)
        .where(*wanted.conditions(rejected, "rejected_at", account))
        .order_by(rejected.c.rejected_at.desc(), rejected.c.id.desc())
        .limit(MOST_ROWS)
    )
    found = connection.execute(query).scalars().all()
    each = list(dict.fromkeys(found))
    return each[:MOST], len(found) < MOST_ROWS and len(each) <= MOST


async def retry(act: Act, account: str, wanted: RejectedFilter) -> Retried:
    """Reprocess what matches the filter, up to MOST callbacks. What was understood before does not count again.

    Raises ApiError (503).
    """
    found, is_all = await act.parts.reads(sources, account, wanted)
    callbacks: list[RawCallback] = []
    for source in found:
        topic, partition, offset = source.rsplit("/", 2)
        callback = await act.parts.raw.read(topic, int(partition), int(offset))
        if callback is not None and callback.account == account:
            callbacks.append(callback)
    again, gone = len(callbacks), len(found) - len(callbacks)
    async with act.audited(
        "rejected.retry",
        "rejected payloads",
        accounts=[account],
        again=again,
        gone=gone,
    ):
        await act.parts.writer.write("raw", [Entry(None, each, each.event_id, now_ms()) for each in callbacks])
    return Retried(again, gone, is_all)
