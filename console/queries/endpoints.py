"""Endpoint settings without secrets, and their statistics of the last 24 hours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from accounts.secrets import redacted
from console.queries.rows import At
from console.queries.statistics import DAY, HOUR, Webhooks, webhooks
from operations.endpoints import state_of
from outbound.redaction import without_query
from outbound.signing import secrets_at
from schemas.records import EndpointConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where webhooks go. `url` has no query.

    `secret_next` signs along with `secret` until `secret_next_at`; each is an `env:` or `file:` reference, or `***`.
    `attempts_24h` and `taken_24h`: requests of the last 24 hours, and how many were answered 2xx.
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
    notify: tuple[str, ...]
    list_rate_limits: dict[str, float]
    attempts_24h: int
    taken_24h: int


def endpoints(
    connection: Connection, account: str, configs: Iterable[EndpointConfig], now: int
) -> tuple[Endpoint, ...]:
    """Return an account's endpoints by id. `now` is in ms."""
    # The current hour and the 23 before it.
    did = {each.endpoint: each for each in webhooks(connection, account, now - DAY + HOUR)}
    return tuple(_endpoint_of(config, did.get(config.id), now) for config in sorted(configs, key=lambda each: each.id))


def _endpoint_of(config: EndpointConfig, did: Webhooks | None, now: int) -> Endpoint:
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
        notify=config.notify,
        list_rate_limits=dict(config.list_rate_limits),
        attempts_24h=did.attempts if did else 0,
        taken_24h=did.taken if did else 0,
    )
