"""Counts by hour, list, provider, and reason, from tables that are counted as events arrive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, func, select

from console.queries.rows import At
from database.tables import dead_webhooks, hourly_attempts, hourly_events, hourly_messages, minutely_events, rejected
from schemas.records import FAILED_STATUSES

HOUR, DAY, MINUTE = 3_600_000, 86_400_000, 60_000

TAKEN = "2xx"
"""The outcome of accepted attempts."""

MANY = 10_000
"""Maximum rows counted one by one; beyond it, an answer says that there are more."""

MOST_GROUPS = 10_000

MESSAGE = "message"
"""What counts messages and not events."""

Group = Literal["hour", "day", "list_number", "provider", "detail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """Number of events of a kind and status in a group. `hour` is the beginning of the hour or day."""

    event: str
    status: str
    hour: At | None = None
    list_number: str | None = None
    provider: str | None = None
    detail: str | None = None
    count: int


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason why messages were not delivered."""

    status: str
    detail: str
    provider: str
    count: int


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Attempts to deliver webhooks to one endpoint, and how many were answered 2xx."""

    endpoint: str
    attempts: int
    taken: int


def statistics(
    connection: Connection, account: str, group: Group, since: int, until: int, event: str | None = None
) -> list[Statistic]:
    """Return counts between two times in ms, widened to whole hours, by a column; newest or largest first.

    The event MESSAGE counts messages by their newest status; others count events, of which a message may have several.
    """
    table = hourly_messages if event == MESSAGE else hourly_events
    kind = () if event == MESSAGE else (table.c.event,)
    by_time = group in ("hour", "day")
    length = DAY if group == "day" else HOUR
    key = (table.c.hour - table.c.hour % length) if by_time else table.c[group]
    total = func.sum(table.c.count).label("total")
    query = (
        select(*kind, table.c.status, key.label("key"), total)
        .where(table.c.account == account, table.c.hour >= since - since % HOUR, table.c.hour < until)
        .group_by(*kind, table.c.status, key)
        .having(total > 0)
        .order_by(key.desc() if by_time else total.desc(), *kind, table.c.status)
        .limit(MOST_GROUPS)
    )
    if kind and event is not None:
        query = query.where(*(column == event for column in kind))
    field = "hour" if by_time else group
    return [
        Statistic(event=row.event if kind else MESSAGE, status=row.status, count=int(row.total), **{field: row.key})
        for row in connection.execute(query)
    ]


def totals(connection: Connection, account: str, since: int) -> dict[tuple[str, str], int]:
    """Return events since a time by (event, status)."""
    table = hourly_events
    query = (
        select(table.c.event, table.c.status, func.sum(table.c.count).label("total"))
        .where(table.c.account == account, table.c.hour >= since - since % HOUR)
        .group_by(table.c.event, table.c.status)
    )
    return {(row.event, row.status): int(row.total) for row in connection.execute(query)}


def outcomes(connection: Connection, account: str, since: int) -> dict[str, int]:
    """Return messages since a time by status, each once, by its newest."""
    table = hourly_messages
    query = (
        select(table.c.status, func.sum(table.c.count).label("total"))
        .where(table.c.account == account, table.c.hour >= since - since % HOUR)
        .group_by(table.c.status)
    )
    return {row.status: int(row.total) for row in connection.execute(query)}


def reasons(connection: Connection, account: str, since: int, limit: int = 8) -> list[Reason]:
    """Return the reasons for undelivered messages since a time, most frequent first."""
    table = hourly_messages
    total = func.sum(table.c.count).label("total")
    query = (
        select(table.c.status, table.c.detail, table.c.provider, total)
        .where(
            table.c.account == account,
            table.c.hour >= since - since % HOUR,
            table.c.status.in_(FAILED_STATUSES),
        )
        .group_by(table.c.status, table.c.detail, table.c.provider)
        .having(total > 0)
        .order_by(total.desc(), table.c.detail)
        .limit(limit)
    )
    return [Reason(row.status, row.detail, row.provider, int(row.total)) for row in connection.execute(query)]


def minutes(connection: Connection, account: str, now: int, count: int = 60) -> list[int]:
    """Return events in each of the last whole minutes, oldest first."""
    table = minutely_events
    first = now - now % MINUTE - count * MINUTE
    query = select(table.c.minute, table.c.count).where(table.c.account == account, table.c.minute >= first)
    found = {row.minute: int(row._mapping["count"]) for row in connection.execute(query)}
    return [found.get(first + number * MINUTE, 0) for number in range(count)]


def webhooks(connection: Connection, account: str, since: int) -> list[Webhooks]:
    """Return each endpoint's attempts since a time."""
    table = hourly_attempts
    query = (
        select(table.c.endpoint, table.c.outcome, func.sum(table.c.count).label("total"))
        .where(table.c.account == account, table.c.hour >= since - since % HOUR)
        .group_by(table.c.endpoint, table.c.outcome)
    )
    found: dict[str, dict[str, int]] = {}
    for row in connection.execute(query):
        found.setdefault(row.endpoint, {})[row.outcome] = int(row.total)
    return [
        Webhooks(endpoint, sum(outcomes.values()), outcomes.get(TAKEN, 0))
        for endpoint, outcomes in sorted(found.items())
    ]


def dead_since(connection: Connection, account: str, since: int) -> int:
    """Return the number of webhooks given up since a time and not delivered later; MANY + 1 if there are more."""
    columns = dead_webhooks.c
    # A webhook given up again after a replay has several rows.
    some = (
        select(columns.endpoint, columns.event_id)
        .where(columns.account == account, columns.died_at >= since, columns.delivered_at.is_(None))
        .limit(MANY + 1)
    )
    each = some.subquery()
    return int(connection.execute(select(func.count()).select_from(select(each).distinct().subquery())).scalar_one())


def rejected_since(connection: Connection, account: str, since: int, *, may_opt_out: bool = False) -> int:
    """Return the number of records rejected since a time; MANY + 1 if there are more.

    `may_opt_out`: only those that may be an opt-out.
    """
    columns = rejected.c
    marked = (columns.may_opt_out.is_(True),) if may_opt_out else ()
    some = select(columns.id).where(columns.account == account, columns.rejected_at >= since, *marked).limit(MANY + 1)
    return int(connection.execute(select(func.count()).select_from(some.subquery())).scalar_one())
