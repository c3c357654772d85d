"""Dead letters: webhooks that were given up after the last retry."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field
from sqlalchemy import Connection

from console.queries.filters import ListFilter, listed
from console.queries.paging import Page, RowSource
from console.queries.rows import At, maker
from database.tables import dead_webhooks


class DeadLettersFilter(ListFilter):
    """Which dead letters."""

    endpoint: str | None = Field(default=None, max_length=64, examples=["crm"])
    error_class: str | None = Field(default=None, max_length=40, examples=["http_status"])
    event_id: str | None = Field(default=None, max_length=200, description="The webhook-id.")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A webhook that was given up. `delivered_at`: when a replay was answered 2xx."""

    event_id: str
    endpoint: str
    event: str
    attempts: int
    last_status: int | None
    error_class: str
    first_attempt_at: At
    died_at: At
    delivered_at: At | None


_dead_letter_of = maker(DeadLetter)


def dead_letters(connection: Connection, account: str, wanted: DeadLettersFilter) -> Page[DeadLetter]:
    """Return a page of dead letters. Raises BadCursor."""
    return listed(connection, account, wanted, RowSource(dead_webhooks, "died_at", _dead_letter_of))
