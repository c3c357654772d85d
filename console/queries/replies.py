"""Replies: what recipients wrote back, and what it was taken for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import Field
from sqlalchemy import Connection, Row

from console.queries.filters import ListFilter
from console.queries.paging import Page, newest
from console.queries.rows import PHONE, TEXT, At
from database.tables import replies as table


class RepliesFilter(ListFilter):
    """Which replies."""

    personal = ("number",)

    kind: str | None = Field(default=None, max_length=40, description="reply, opt_out or opt_in.", examples=["opt_out"])
    list_number: str | None = Field(default=None, max_length=40, examples=["+18005551234"])
    number: str | None = Field(default=None, max_length=40, description="Who wrote.", examples=["+15551230001"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One reply as it was received. `keyword` is what made it an opt-out or an opt-in."""

    event_id: str
    provider: str
    number: str = field(metadata=PHONE)
    list_number: str | None
    text: str | None = field(metadata=TEXT)
    kind: str
    keyword: str | None = field(metadata=TEXT)
    received_at: At
    source: str | None


def replies(connection: Connection, account: str, wanted: RepliesFilter) -> Page[Reply]:
    """A page of replies. Raises BadCursor."""
    where = wanted.conditions(table, "received_at", account)
    return newest(connection, table, "received_at", where, wanted.ask(account), _reply)


def _reply(row: Row[Any]) -> Reply:
    return Reply(
        event_id=row.event_id,
        provider=row.provider,
        number=row.number,
        list_number=row.list_number or row.to_number,
        text=row.text,
        kind=row.kind,
        keyword=row.keyword,
        received_at=row.received_at,
        source=row.source,
    )
