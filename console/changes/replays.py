"""Replay commands, shared by the API and the pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import islice

from msgspec.structs import replace
from sqlalchemy import Connection, select

from accounts.urls import POLL
from bus.clock import now_ms
from console.backends.kafka_writer import Entry
from console.changes.acts import Act
from console.errors import conflict, not_found
from console.parts import Parts
from console.queries.dead import DeadLettersFilter
from console.queries.rows import At
from database.tables import dead_webhooks
from operations.replays import ENDED, MOST_IDS, Known, Order
from schemas.ids import random_id
from schemas.records import EndpointConfig, ReplayCommand

MOST_DEAD = 10_000
"""Maximum dead letters replayed at once; more need another command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A replay: its command and progress. `left`: records still to be examined, null before it began."""

    replay_id: str
    endpoint: str
    outcome: str
    events: tuple[str, ...]
    event_ids: int
    from_at: At
    to_at: At
    issued_by: str | None
    issued_at: At
    state: str
    sent: int
    left: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class DeadPlan:
    """The dead letters of a command: event ids by endpoint. `is_all`: none is left out."""

    ids: dict[str, list[str]]
    oldest_at: int | None
    is_all: bool

    @property
    def count(self) -> int:
        """Number of webhooks."""
        return sum(map(len, self.ids.values()))


def shown(known: Known) -> Replay:
    """Return a replay for display."""
    command, progress = known.command, known.progress
    return Replay(
        replay_id=command.replay_id,
        endpoint=command.endpoint.partition("/")[2],
        outcome=command.outcome,
        events=command.events,
        event_ids=len(command.event_ids),
        from_at=command.from_at,
        to_at=command.to_at,
        issued_by=command.issued_by,
        issued_at=command.issued_at,
        state=known.state,
        sent=0 if progress is None else progress.sent,
        left=known.left,
        error=None if progress is None else progress.error,
    )


def plan_dead(
    connection: Connection, account: str, wanted: DeadLettersFilter, endpoints: Iterable[EndpointConfig]
) -> DeadPlan:
    """Select undelivered dead letters that match the filter, newest first, up to MOST_DEAD.

    Those of none of the account's `endpoints` are left out: there is nowhere to send them.
    """
    table = dead_webhooks
    conditions = wanted.conditions(table, "died_at", account)
    conditions.append(table.c.endpoint.in_([each.id for each in endpoints]))
    query = (
        select(table.c.endpoint, table.c.event_id, table.c.first_attempt_at)
        .where(*conditions, table.c.delivered_at.is_(None))
        .order_by(table.c.died_at.desc(), table.c.id.desc())
        .limit(MOST_DEAD + 1)
    )
    rows = connection.execute(query).all()
    # A webhook given up again after a replay has several rows.
    ids: dict[str, dict[str, None]] = {}
    for row in rows[:MOST_DEAD]:
        ids.setdefault(row.endpoint, {})[row.event_id] = None
    oldest = min((row.first_attempt_at for row in rows[:MOST_DEAD]), default=None)
    return DeadPlan({name: list(some) for name, some in ids.items()}, oldest, len(rows) <= MOST_DEAD)


def orders_of(plan: DeadPlan, account: str) -> Iterator[Order]:
    """Return the commands for a plan."""
    for endpoint, ids in plan.ids.items():
        for some in _chunks(ids):
            yield Order(f"{account}/{endpoint}", "dead", event_ids=tuple(some))


async def order(act: Act, account: str, orders: Iterable[Order]) -> list[Known]:
    """Write the commands, acknowledged; sinks carry them out. Raises ApiError: 404 for an unknown endpoint, 503."""
    commands = [each.command(act.principal.actor, now_ms()) for each in orders]
    for command in commands:
        config = act.parts.accounts.endpoints.get(command.endpoint)
        if config is None or config.account != account:
            raise not_found(f"There is no endpoint {command.endpoint.partition('/')[2]!r} in this account.")
        if config.url == POLL:
            raise conflict("Nothing is sent to this endpoint: its receiver polls for its events, including old ones.")
    async with AsyncExitStack() as entries:
        for command in commands:
            entry = act.audited(
                "replay.order",
                f"endpoint {command.endpoint.partition('/')[2]}",
                accounts=[account],
                replay_id=command.replay_id,
                outcome_wanted=command.outcome,
                event_ids=len(command.event_ids),
                from_at=command.from_at,
                to_at=command.to_at,
            )
            await entries.enter_async_context(entry)
        await _write(act.parts, commands)
    return [Known(command, None) for command in commands]


async def stop(act: Act, account: str, replay_id: str) -> Known:
    """Stop a replay; what it has handed over is still sent. Raises ApiError: 404, 409 if it has ended."""
    known = replay_named(act.parts, account, replay_id)
    if known.state in ENDED:
        raise conflict(f"The replay has ended: {known.state}.")
    stopped = replace(known.command, stopped_at=known.command.stopped_at or now_ms())
    async with act.audited("replay.stop", replay_id, accounts=[account]):
        await _write(act.parts, [stopped])
    return Known(stopped, known.progress)


def replay_named(parts: Parts, account: str, replay_id: str) -> Known:
    """Return a replay of an endpoint of the account. Raises ApiError 404."""
    found = parts.replays.one(account, replay_id)
    if found is None:
        raise not_found("There is no such replay in this account.")
    return found


async def _write(parts: Parts, commands: list[ReplayCommand]) -> None:
    entries = [Entry(command.replay_id.encode(), command, random_id(), now_ms()) for command in commands]
    await parts.writer.write("webhooks_replays", entries)


def _chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(ids)
    while some := list(islice(rest, MOST_IDS)):
        yield some
