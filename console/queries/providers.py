"""Providers' activity for an account."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, Row, case, func, select

from bus.clock import now_ms
from console.queries.statistics import DAY, HOUR
from database.tables import callbacks_seen, hourly_events, rejected
from operations.providers import ProviderActivity

OF_SENDERS = ("sent", "click")
"""Events that can also come from senders' registrations, without a provider's callback."""

UNDERSTOOD_WITHIN_MS = 30 * DAY
"""How far back events from callbacks are searched."""


def seen_of(connection: Connection, account: str, now: int | None = None) -> dict[str, ProviderActivity]:
    """Return the activity of every provider that has called for an account. `understood` is of the last 24 hours."""
    at = now_ms() if now is None else now
    found: dict[str, ProviderActivity] = {}
    for row in connection.execute(select(callbacks_seen).where(callbacks_seen.c.account == account)):
        found[row.provider] = _added(found.get(row.provider, ProviderActivity()), row)
    hours = hourly_events.c
    events = (
        select(
            hours.provider,
            func.max(hours.hour).label("newest"),
            func.sum(case((hours.hour > at - DAY, hours.count), else_=0)).label("count"),
        )
        .where(
            hours.account == account,
            hours.hour > at - UNDERSTOOD_WITHIN_MS,
            hours.provider != "",
            hours.event.not_in(OF_SENDERS),
        )
        .group_by(hours.provider)
    )
    for row in connection.execute(events):
        known = found.get(row.provider, ProviderActivity())
        found[row.provider] = replace(known, understood=int(row._mapping["count"]), understood_until=row.newest + HOUR)
    return {provider: _with_rejection(connection, account, provider, seen) for provider, seen in found.items()}


def _added(known: ProviderActivity, row: Row[tuple[object, ...]]) -> ProviderActivity:
    """Sum the counts of several ingest processes."""
    is_newer = (row.last_refused_at or 0) > (known.last_refused_at or 0)
    return replace(
        known,
        taken=known.taken + row.taken,
        refused=known.refused + row.refused,
        last_taken_at=max(filter(None, (known.last_taken_at, row.last_taken_at)), default=None),
        last_refused_at=row.last_refused_at if is_newer else known.last_refused_at,
        last_refusal=row.last_refusal if is_newer else known.last_refusal,
    )


def _with_rejection(connection: Connection, account: str, provider: str, seen: ProviderActivity) -> ProviderActivity:
    columns = rejected.c
    newest = (
        select(columns.rejected_at, columns.reason)
        .where(columns.account == account, columns.provider == provider)
        .order_by(columns.rejected_at.desc(), columns.id.desc())
        .limit(1)
    )
    row = connection.execute(newest).one_or_none()
    return seen if row is None else replace(seen, last_rejected_at=row.rejected_at, last_rejection=row.reason)
