"""Dead letters: webhooks that were given up after the last retry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import Field
from sqlalchemy import Connection, Row

from console.queries.filters import ListFilter
from console.queries.paging import Page, newest
from console.queries.rows import At
from database.tables import dead_webhooks


class DeadLettersFilter(ListFilter):
    """Which dead letters."""

    endpoint: str | None = Field(default=None, max_length=64, examples=["crm"])
    error_class: str | None = Field(default=None, max_length=40, examples=["http_status"])
    event_id: str | None = Field(default=None, max_length=200, description="The webhook-id.")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A webhook that was given up. `delivered_at`: when a replay of it was answered 2xx."""

    event_id: str
    endpoint: str
    event: str
    attempts: int
    last_status: int | None
    error_class: str
    first_attempt_at: At
    died_at: At
    delivered_at: At | None


def dead_letters(connection: Connection, account: str, wanted: DeadLettersFilter) -> Page[DeadLetter]:
    """A page of dead letters. Raises BadCursor."""
    return newest(
        connection,
        dead_webhooks,
        "died_at",
        wanted.conditions(dead_webhooks, "died_at", account),
        wanted.ask(account),
        _dead_letter_of,
    )


def _dead_letter_of(row: Row[Any]) -> DeadLetter:
    return DeadLetter(
        event_id=row.event_id,
        endpoint=row.endpoint,
        event=row.event,
        attempts=row.attempts,
        last_status=row.last_status,
        error_class=row.error_class,
        first_attempt_at=row.first_attempt_at,
        died_at=row.died_at,
        delivered_at=row.delivered_at,
    )
