"""The audit log: who changed what."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field
from sqlalchemy import Connection

from console.queries.filters import ListFilter, listed
from console.queries.paging import Page, RowSource
from console.queries.rows import At, maker
from database.tables import audit


class AuditFilter(ListFilter):
    """Which entries."""

    actor: str | None = Field(default=None, max_length=300, examples=["user:ann@example.com"])
    action: str | None = Field(default=None, max_length=100, examples=["endpoint.pause"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """One entry. `details` is JSON: the values before and after, without secrets."""

    event_id: str
    actor: str
    action: str
    object: str
    details: str
    remote_ip: str
    outcome: str
    at: At


_audited_of = maker(Audited)


def audited(connection: Connection, account: str, wanted: AuditFilter) -> Page[Audited]:
    """Return a page of an account's log. Raises BadCursor."""
    return listed(connection, account, wanted, RowSource(audit, "at", _audited_of))
