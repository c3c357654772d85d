"""The read model's progress: its positions on Kafka, and the time up to which it is complete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, select, text, update

from bus.layout import Identity
from database import bulk
from database.tables import READ_MODEL, answers, contacts, evidence, freshness, positions

Partition = tuple[str, int]
"""Topic name and partition number."""

_ROW = 1


@dataclass(frozen=True, slots=True)
class Freshness:
    """What Kafka acknowledged before `caught_up_at` (ms; None: nothing yet) is in the read model.

    `lag`: records still missing when this was written, at `told_at` (ms). It is written every second or two; if it is
    much older, nobody is writing the read model. `lost`: records that retention deleted before they were read; they are
    missing until the read model is rebuilt.
    """

    caught_up_at: int | None
    lag: int
    told_at: int
    lost: int = 0


def freshness_of(connection: Connection, *, locked: bool = False) -> Freshness | None:
    """Return the read model's freshness; None if nothing was ever read. `locked`: nobody else changes it before this
    transaction ends."""
    told = select(freshness.c.caught_up_at, freshness.c.lag, freshness.c.told_at, freshness.c.lost)
    if locked:
        told = told.with_for_update()
    row = connection.execute(told).one_or_none()
    return None if row is None else Freshness(*row)


def tell_freshness(connection: Connection, found: Freshness) -> None:
    """Write the read model's freshness."""
    bulk.put(connection, freshness, [{"id": _ROW, **asdict(found)}])


def positions_in(connection: Connection) -> dict[Partition, tuple[str, int]]:
    """Return Kafka's topic id and the next offset, by partition."""
    rows = connection.execute(select(positions))
    return {(row.topic, row.partition): (row.topic_id, row.next_offset) for row in rows}


def recreated(stored: Mapping[Partition, tuple[str, int]], found: Mapping[str, Identity]) -> list[str]:
    """Return the topics that were deleted and recreated since these positions were stored."""
    before = {topic: topic_id for (topic, _), (topic_id, _) in stored.items()}
    return sorted(topic for topic, known in before.items() if topic in found and found[topic].id != known)


def move_positions(connection: Connection, ids: Mapping[str, str], moved: Mapping[Partition, int]) -> None:
    """Write that everything before these offsets is in the tables. `ids` are Kafka's, by topic."""
    rows = [
        {"topic": topic, "partition": partition, "topic_id": ids[topic], "next_offset": offset}
        for (topic, partition), offset in moved.items()
    ]
    bulk.put(connection, positions, rows)


def forget_position(connection: Connection, topic: str) -> None:
    """Forget a topic's positions: it is read again from its beginning."""
    connection.execute(delete(positions).where(positions.c.topic == topic))


def forget_versions(connection: Connection) -> None:
    """Forget the versions of contacts' states: those on a recreated topic may be lower, and count nevertheless."""
    connection.execute(update(contacts).values(version=0))


def empty(connection: Connection) -> None:
    """Delete all rows of the read model, including positions, but not the evidence, whose sources Kafka no longer
    has."""
    emptied = [table for table in READ_MODEL if table not in (answers, evidence)]
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"TRUNCATE {', '.join(table.name for table in emptied)}"))
        return
    for table in emptied:
        connection.execute(delete(table))
