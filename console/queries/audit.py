"""The audit log: who changed what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import Field
from sqlalchemy import Connection, Row

from console.queries.filters import ListFilter
from console.queries.paging import Page, newest
from console.queries.rows import At
from database.tables import audit


class AuditFilter(ListFilter):
    """Which entries."""

    actor: str | None = Field(default=None, max_length=300, examples=["user:ann@example.com"])
    action: str | None = Field(default=None, max_length=100, examples=["endpoint.pause"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """One entry. `details` is JSON: what it was before and after, without secrets."""

    event_id: str
    actor: str
    action: str
    object: str
    details: str
    remote_ip: str
    outcome: str
    at: At


def audited(connection: Connection, account: str, wanted: AuditFilter) -> Page[Audited]:
    """A page of the log of an account. Raises BadCursor."""
    return newest(connection, audit, "at", wanted.conditions(audit, "at", account), wanted.ask(account), _audited_of)


def _audited_of(row: Row[Any]) -> Audited:
    return Audited(
        event_id=row.event_id,
        actor=row.actor,
        action=row.action,
        object=row.object,
        details=row.details,
        remote_ip=row.remote_ip,
        outcome=row.outcome,
        at=row.at,
    )
