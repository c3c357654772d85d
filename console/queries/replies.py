"""Replies: what recipients wrote, and how it was classified."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import Field
from sqlalchemy import Connection, Row, select

from console.queries.contacts import removals_by
from console.queries.filters import ListFilter, listed
from console.queries.paging import Page, RowSource
from console.queries.rows import PHONE, TEXT, At, maker
from database.tables import contact_changes
from database.tables import replies as table

KINDS = ("reply", "opt_out", "opt_in")
"""How a provider may classify a reply."""


class RepliesFilter(ListFilter):
    """Which replies."""

    personal = ("number",)
    known = MappingProxyType({"kind": KINDS})

    kind: str | None = Field(
        default=None, max_length=40, description="reply, opt_out, or opt_in.", examples=["opt_out"]
    )
    list_number: str | None = Field(default=None, max_length=40, examples=["+18005551234"])
    number: str | None = Field(default=None, max_length=40, description="Who wrote.", examples=["+15551230001"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One reply. `kind` is the provider's classification, `removed` whether it removed the contact, and `keyword` by
    which keyword."""

    event_id: str
    provider: str
    number: str = field(metadata=PHONE)
    list_number: str | None
    text: str | None = field(metadata=TEXT)
    kind: str
    keyword: str | None = field(metadata=TEXT)
    received_at: At
    source: str | None
    removed: bool = False


_of_row = maker(Reply)


def replies(connection: Connection, account: str, wanted: RepliesFilter) -> Page[Reply]:
    """Return a page of replies. Raises BadCursor."""
    page = listed(connection, account, wanted, RowSource(table, "received_at", _reply))
    removals = _removals(connection, account, page.rows)
    return Page(tuple(_judged(reply, removals) for reply in page.rows), page.next_cursor)


def _reply(row: Row[Any]) -> Reply:
    reply = _of_row(row)
    return reply if reply.list_number else replace(reply, list_number=row.to_number)


class _Removals(NamedTuple):
    """Keywords of removals by id, and the removals' lists."""

    keywords: Mapping[str, str | None]
    lists: frozenset[str]


def _removals(connection: Connection, account: str, found: Iterable[Reply]) -> _Removals:
    """Return the removals caused by these replies."""
    numbers = {reply.number for reply in found}
    columns = contact_changes.c
    query = select(columns.event_id, columns.keyword, columns.list_number).where(
        columns.account == account, columns.number.in_(numbers), columns.change == "removed"
    )
    rows = connection.execute(query).all() if numbers else ()
    return _Removals(
        {row.event_id: row.keyword for row in rows}, frozenset(r.list_number for r in rows if r.list_number)
    )


def _judged(reply: Reply, removals: _Removals) -> Reply:
    for each in removals_by(reply.event_id, removals.lists):
        if each in removals.keywords:
            return replace(reply, removed=True, keyword=removals.keywords[each] or reply.keyword)
    return reply
