"""Attempts to deliver webhooks."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import Field
from sqlalchemy import Connection, select

from console.queries.filters import ListFilter, listed
from console.queries.paging import Page, RowSource
from console.queries.rows import TEXT, At, maker
from database.tables import attempts, events


class AttemptsFilter(ListFilter):
    """Which attempts."""

    endpoint: str | None = Field(default=None, max_length=64, examples=["crm"])
    outcome: str | None = Field(
        default=None, max_length=40, description="`2xx`, `4xx` … or an error class.", examples=["timeout"]
    )
    event: str | None = Field(default=None, max_length=40, examples=["delivery"])
    event_id: str | None = Field(default=None, max_length=200, description="The webhook-id.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request to an endpoint and how it ended. `next_attempt_at` is null if none follows; `asked` is what the
    answer requested in its header `webhook-delivery`: `disable`, `abort-message`.
    """

    id: int
    endpoint: str
    event_id: str
    event: str
    attempt: int
    url: str
    outcome: str
    status: int | None
    error_class: str | None
    latency_ms: int
    response_head: str = field(metadata=TEXT)
    request_size: int
    next_attempt_at: At | None
    final: bool
    asked: str | None
    at: At


_attempt_of = maker(Attempt)


def list_attempts(connection: Connection, account: str, wanted: AttemptsFilter) -> Page[Attempt]:
    """Return a page of attempts. Raises BadCursor."""
    return listed(connection, account, wanted, RowSource(attempts, "at", _attempt_of))


def attempt(connection: Connection, account: str, number: int) -> Attempt | None:
    """Return the account's attempt with this id."""
    query = select(attempts).where(attempts.c.account == account, attempts.c.id == number)
    row = connection.execute(query).first()
    return None if row is None else _attempt_of(row)


def event_body(connection: Connection, account: str, event_id: str) -> str | None:
    """Return an event's webhook body as plain JSON; None if the event is not kept, or is a message's callback."""
    query = select(events.c.body).where(events.c.event_id == event_id, events.c.account == account)
    found: str | None = connection.execute(query).scalar()
    return found
