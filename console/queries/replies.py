"""Replies: what recipients wrote back, and what it was taken for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import Field
from sqlalchemy import Connection, Row, select

from console.queries.filters import ListFilter, listed
from console.queries.paging import Page
from console.queries.rows import PHONE, TEXT, At, maker
from database.tables import contact_changes
from database.tables import replies as table
from schemas.ids import derived_id


class RepliesFilter(ListFilter):
    """Which replies."""

    personal = ("number",)

    kind: str | None = Field(default=None, max_length=40, description="reply, opt_out or opt_in.", examples=["opt_out"])
    list_number: str | None = Field(default=None, max_length=40, examples=["+18005551234"])
    number: str | None = Field(default=None, max_length=40, description="Who wrote.", examples=["+15551230001"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One reply. `kind` is what the provider called it, `removed` whether it removed the contact, `keyword` by what."""

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
    """A page of replies. Raises BadCursor."""
    page = listed(connection, account, wanted, table, "received_at", _reply)
    removals = _removals(connection, account, page.rows)
    return Page(tuple(_judged(reply, removals) for reply in page.rows), page.next_cursor)


def _reply(row: Row[Any]) -> Reply:
    reply = _of_row(row)
    return reply if reply.list_number else replace(reply, list_number=row.to_number)


def _removal_ids(reply: Reply) -> tuple[str, ...]:
    """Ids of the removals that the reply may have led to: from its list, or from each of several."""
    one = derived_id(reply.event_id, "unsubscribe")
    return (one, derived_id(reply.event_id, "unsubscribe", reply.list_number)) if reply.list_number else (one,)


def _removals(connection: Connection, account: str, found: Iterable[Reply]) -> dict[str, str | None]:
    """The keyword of each removal that one of these replies led to, by the removal's id."""
    ids = [each for reply in found for each in _removal_ids(reply)]
    columns = contact_changes.c
    query = select(columns.event_id, columns.keyword).where(
        columns.event_id.in_(ids), columns.change == "removed", columns.account == account
    )
    return {row.event_id: row.keyword for row in connection.execute(query)} if ids else {}


def _judged(reply: Reply, removals: Mapping[str, str | None]) -> Reply:
    for each in _removal_ids(reply):
        if each in removals:
            return replace(reply, removed=True, keyword=removals[each] or reply.keyword)
    return reply
