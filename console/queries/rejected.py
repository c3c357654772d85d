"""Rejected payloads: what could not be processed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import Field
from sqlalchemy import Connection, Row

from console.queries.filters import ListFilter
from console.queries.paging import Page, newest
from console.queries.rows import TEXT, At
from database.tables import rejected


class RejectedFilter(ListFilter):
    """Which rejected payloads."""

    reason: str | None = Field(default=None, max_length=100, examples=["unknown_status"])
    provider: str | None = Field(default=None, max_length=40, examples=["infobip"])
    event_id: str | None = Field(default=None, max_length=200, description="Its id.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A callback, or an item of one, that could not be processed. `source`: topic/partition/offset of the record."""

    event_id: str
    provider: str | None
    stage: str
    reason: str
    error: str = field(metadata=TEXT)
    source: str
    item_index: int | None
    item: str | None = field(metadata=TEXT)
    rejected_at: At


def list_rejected(connection: Connection, account: str, wanted: RejectedFilter) -> Page[Rejected]:
    """A page of rejected payloads. Raises BadCursor."""
    return newest(
        connection,
        rejected,
        "rejected_at",
        wanted.conditions(rejected, "rejected_at", account),
        wanted.ask(account),
        _rejected_of,
    )


def _rejected_of(row: Row[Any]) -> Rejected:
    return Rejected(
        event_id=row.event_id,
        provider=row.provider,
        stage=row.stage,
        reason=row.reason,
        error=row.error,
        source=row.source,
        item_index=row.item_index,
        item=row.item,
        rejected_at=row.rejected_at,
    )
