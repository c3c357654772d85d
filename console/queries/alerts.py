"""Alerts that were sent, or why they were not."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field
from sqlalchemy import Connection

from console.queries.filters import ListFilter, listed
from console.queries.paging import Page, RowSource
from console.queries.rows import At, maker
from database.tables import alerts as table


class AlertsFilter(ListFilter):
    """Which alerts."""

    type: str | None = Field(default=None, max_length=40, examples=["delivery_failures"])
    outcome: str | None = Field(
        default=None, max_length=40, description="told, muted, no_channel, or given_up.", examples=["told"]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldAlert:
    """One alert: what happened, `count` times, and whether a channel accepted it. Numbers in it are masked."""

    event_id: str
    type: str
    severity: str
    title: str
    text: str
    count: int
    outcome: str
    at: At


_alert_of = maker(ToldAlert)


def alerts(connection: Connection, account: str, wanted: AlertsFilter) -> Page[ToldAlert]:
    """Return a page of alerts. Raises BadCursor."""
    return listed(connection, account, wanted, RowSource(table, "at", _alert_of))
