"""Rejected payloads: what could not be processed."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import Field
from sqlalchemy import Connection

from console.queries.filters import ListFilter, listed
from console.queries.paging import Page
from console.queries.rows import TEXT, At, maker
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


_rejected_of = maker(Rejected)


def list_rejected(connection: Connection, account: str, wanted: RejectedFilter) -> Page[Rejected]:
    """A page of rejected payloads. Raises BadCursor."""
    return listed(connection, account, wanted, rejected, "rejected_at", _rejected_of)
