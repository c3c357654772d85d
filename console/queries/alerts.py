"""Alerts as they were told, or why they were not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import Field
from sqlalchemy import Connection, Row

from console.queries.filters import ListFilter
from console.queries.paging import Page, newest
from console.queries.rows import At
from database.tables import alerts as table


class AlertsFilter(ListFilter):
    """Which alerts."""

    type: str | None = Field(default=None, max_length=40, examples=["delivery_failures"])
    outcome: str | None = Field(
        default=None, max_length=40, description="told, muted, no_channel or given_up.", examples=["told"]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldAlert:
    """One alert: what happened, `count` times, and whether a channel took it. Numbers in it are masked."""

    event_id: str
    type: str
    severity: str
    title: str
    text: str
    count: int
    outcome: str
    at: At


def alerts(connection: Connection, account: str, wanted: AlertsFilter) -> Page[ToldAlert]:
    """A page of alerts. Raises BadCursor."""
    return newest(connection, table, "at", wanted.conditions(table, "at", account), wanted.ask(account), _alert_of)


def _alert_of(row: Row[Any]) -> ToldAlert:
    return ToldAlert(
        event_id=row.event_id,
        type=row.type,
        severity=row.severity,
        title=row.title,
        text=row.text,
        count=row._mapping["count"],  # a row is a tuple, which has a method of this name
        outcome=row.outcome,
        at=row.at,
    )
