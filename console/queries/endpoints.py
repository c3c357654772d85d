"""Endpoints as they are set up, without their secrets, and how they did in the last 24 hours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from accounts.secrets import redacted
from console.queries.rows import At
from database.tables import hourly_attempts
from operations.endpoints import state_of
from outbound.redaction import without_query
from outbound.signing import secrets_at
from schemas.records import EndpointConfig

HOUR_MS = 3_600_000
DAY_HOURS = 24

TAKEN = "2xx"
"""The outcome of attempts that were taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where webhooks go. `url` is without its query.

    `secret_next` signs beside `secret` until `secret_next_at`; each is an `env:` or `file:` reference, or `***`.
    `attempts_24h` and `taken_24h`: requests of the last 24 hours, and those that were answered 2xx.
    """

    id: str
    url: str
    description: str
    events: tuple[str, ...]
    lists: tuple[str, ...]
    state: str
    paused_reason: str | None
    paused_at: At | None
    secret: str
    secret_next: str | None
    secret_next_at: At | None
    format: str
    batch_events: int
    rate_limit: float | None
    retry_schedule: tuple[str, ...]
    attempts_24h: int
    taken_24h: int


def endpoints(
    connection: Connection, account: str, configs: Iterable[EndpointConfig], now: int
) -> tuple[Endpoint, ...]:
    """An account's endpoints by their ids. `now` is in ms."""
    counts = _counts(connection, account, now)
    return tuple(
        _endpoint_of(config, counts.get(config.id, {}), now) for config in sorted(configs, key=lambda each: each.id)
    )


def _counts(connection: Connection, account: str, now: int) -> dict[str, dict[str, int]]:
    """Attempts by endpoint and outcome, of this hour and the 23 before it."""
    since = now // HOUR_MS * HOUR_MS - (DAY_HOURS - 1) * HOUR_MS
    table = hourly_attempts.c
    query = (
        select(table.endpoint, table.outcome, func.sum(table.count))
        .where(table.account == account, table.hour >= since)
        .group_by(table.endpoint, table.outcome)
    )
    counts: dict[str, dict[str, int]] = {}
    for endpoint, outcome, count in connection.execute(query):
        counts.setdefault(endpoint, {})[outcome] = int(count)
    return counts


def _endpoint_of(config: EndpointConfig, counts: dict[str, int], now: int) -> Endpoint:
    present, following = secrets_at(config, now)
    return Endpoint(
        id=config.id,
        url=without_query(config.url),
        description=config.description,
        events=config.events,
        lists=config.lists,
        state=state_of(config),
        paused_reason=config.paused_reason,
        paused_at=config.paused_at,
        secret=redacted(present),
        secret_next=None if following is None else redacted(following),
        secret_next_at=None if following is None else config.secret_next_at,
        format=config.format,
        batch_events=config.batch_events,
        rate_limit=config.rate_limit,
        retry_schedule=config.retry_schedule,
        attempts_24h=sum(counts.values()),
        taken_24h=counts.get(TAKEN, 0),
    )
