"""Rejected payloads: what could not be processed."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import Field
from sqlalchemy import Connection

from console.queries.filters import ListFilter
from console.queries.paging import Page, RowSource, marked_first
from console.queries.rows import TEXT, At, maker
from database.tables import rejected


class RejectedFilter(ListFilter):
    """Which rejected payloads."""

    reason: str | None = Field(default=None, max_length=100, examples=["unknown_status"])
    provider: str | None = Field(default=None, max_length=40, examples=["infobip"])
    event_id: str | None = Field(default=None, max_length=200, description="Its id.")
    may_opt_out: bool | None = Field(default=None, description="Whether it contains an opt-out word or flag.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A callback, or an item of one, that could not be processed. `source`: topic/partition/offset of the record.

    `may_opt_out`: it contains an opt-out word or flag, so it may be an opt-out.
    """

    event_id: str
    provider: str | None
    stage: str
    reason: str
    error: str = field(metadata=TEXT)
    source: str
    item_index: int | None
    item: str | None = field(metadata=TEXT)
    rejected_at: At
    may_opt_out: bool


_rejected_of = maker(Rejected)


def list_rejected(connection: Connection, account: str, wanted: RejectedFilter) -> Page[Rejected]:
    """Return a page of rejected payloads: first those that may be opt-outs, then the others, each newest first.

    Raises BadCursor.
    """
    where, ask = wanted.conditions(rejected, "rejected_at", account), wanted.ask(account)
    return marked_first(connection, RowSource(rejected, "rejected_at", _rejected_of), "may_opt_out", where, ask)
