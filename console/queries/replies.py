"""Replies: what recipients wrote back, and what it was taken for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import Field
from sqlalchemy import Connection, Row

from console.queries.filters import ListFilter, listed
from console.queries.paging import Page
from console.queries.rows import PHONE, TEXT, At, maker
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


_of_row = maker(Reply)


def replies(connection: Connection, account: str, wanted: RepliesFilter) -> Page[Reply]:
    """A page of replies. Raises BadCursor."""
    return listed(connection, account, wanted, table, "received_at", _reply)


def _reply(row: Row[Any]) -> Reply:
    reply = _of_row(row)
    return reply if reply.list_number else replace(reply, list_number=row.to_number)
