"""Takes old rows out of the read model, a few at a time, between what is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlalchemy import Connection, Table, delete, func, select

from database.tables import (
    alerts,
    attempts,
    audit,
    contact_changes,
    dead_webhooks,
    events,
    hourly_attempts,
    hourly_events,
    messages,
    minutely_events,
    receipts,
    rejected,
    replies,
)
from sinks.clock import Clock
from sinks.read_settings import ReadModelSettings

DAY = 86_400_000

TIMES: Mapping[Table, str] = {
    messages: "updated_at",
    events: "at",
    receipts: "received_at",
    replies: "received_at",
    attempts: "at",
    dead_webhooks: "died_at",
    rejected: "rejected_at",
    alerts: "at",
}
"""Column of time of the tables that are kept for TRACKLY_READ_MODEL_DAYS."""

LONG: Mapping[Table, str] = {contact_changes: "at", audit: "at"}
"""Those that are kept as long as the counts by the hour: why a number is out is asked late."""

MINUTES_MS = 2 * DAY
"""How long counts by the minute are kept."""

STEP_IDS = 5_000
"""Rows that one step looks at: a step takes milliseconds."""

EVERY_MS = 3_600_000
"""How often the tables are gone through."""

STEP_EVERY_MS = 50


class Retention:
    """Goes through the tables by id, one step at a call."""

    def __init__(self, settings: ReadModelSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._steps: Iterator[None] | None = None
        self._next_at = 0

    def step(self, connection: Connection) -> None:
        """Delete what is too old among the next rows, if it is time to."""
        now = self._clock.now_ms()
        if now < self._next_at:
            return
        if self._steps is None:
            self._steps = self._all(connection, now)
        try:
            next(self._steps)
            self._next_at = now + STEP_EVERY_MS
        except StopIteration:
            self._steps = None
            self._next_at = now + EVERY_MS

    def _all(self, connection: Connection, now: int) -> Iterator[None]:
        rows, counts = now - int(self._settings.days * DAY), now - int(self._settings.hourly_days * DAY)
        for table, time in TIMES.items():
            yield from _old(connection, table, time, rows)
        for table, time in LONG.items():
            yield from _old(connection, table, time, counts)
        for table, column, before in (
            (hourly_events, hourly_events.c.hour, counts),
            (hourly_attempts, hourly_attempts.c.hour, counts),
            (minutely_events, minutely_events.c.minute, now - MINUTES_MS),
        ):
            with connection.begin():
                connection.execute(delete(table).where(column < before))
            yield


def _old(connection: Connection, table: Table, time: str, before: int) -> Iterator[None]:
    with connection.begin():
        first, last = connection.execute(select(func.min(table.c.id), func.max(table.c.id))).one()
    if first is None:
        return
    for start in range(first, last + 1, STEP_IDS):
        with connection.begin():
            some = table.c.id.between(start, start + STEP_IDS - 1)
            connection.execute(delete(table).where(some, table.c[time] < before))
        yield
