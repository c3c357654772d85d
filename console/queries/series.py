"""Counts over time for charts, from tables that are counted as events and attempts arrive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Column, Connection, Table, func, select

from console.queries.statistics import DAY, HOUR, TAKEN
from database.latencies import percentile
from database.tables import hourly_attempts, hourly_events, hourly_latencies, hourly_messages
from schemas.records import DELIVERED, FAILED_STATUSES

Counts = list[int]
"""One count for each step of a span, oldest first."""

OTHER = "other"
"""The name of the remainder when only the most frequent are named."""


@dataclass(frozen=True, slots=True)
class Span:
    """Steps of equal length: `first` is the beginning of the oldest, `step` the length of each; both in ms UTC."""

    first: int
    step: int
    count: int

    @classmethod
    def ending(cls, now: int, length: int) -> Span:
        """Return the last `length` ms, including the current step: hourly up to a week, daily beyond it."""
        step = HOUR if length <= 7 * DAY else DAY
        count = length // step
        return cls(now - now % step - (count - 1) * step, step, count)

    @property
    def times(self) -> list[int]:
        """The beginning of each step."""
        return [self.first + number * self.step for number in range(self.count)]

    def place(self, time: int) -> int:
        """Return the step that contains a time."""
        return (time - self.first) // self.step


@dataclass(frozen=True, slots=True)
class Tries:
    """Attempts at an endpoint in each step, and those answered 2xx."""

    attempts: Counts
    taken: Counts


@dataclass(frozen=True, slots=True)
class Latencies:
    """An endpoint's response times in ms: by step, and over the whole span. None if it answered nothing."""

    steps: list[float | None]
    whole: float | None


def kinds(
    connection: Connection, account: str, span: Span, list_number: str | None = None
) -> dict[tuple[str, str], Counts]:
    """Return events by (event, status)."""
    return _counted(connection, hourly_events, account, span, ("event", "status"), {"list_number": list_number})


def delivered_and_failed(
    connection: Connection, account: str, span: Span, list_number: str | None = None
) -> tuple[Counts, Counts]:
    """Return delivered and failed messages, each message once, by its newest status."""
    found = _single(_counted(connection, hourly_messages, account, span, ("status",), {"list_number": list_number}))
    failed = [found[status] for status in FAILED_STATUSES if status in found]
    return found.get(DELIVERED, [0] * span.count), _added(failed, span)


def failures(
    connection: Connection,
    account: str,
    span: Span,
    by: Literal["detail", "provider"],
    list_number: str | None = None,
    most: int = 5,
) -> dict[str, Counts]:
    """Return failed messages by reason or provider: most frequent first, the rest as `other`."""
    wanted = {"list_number": list_number, "status": FAILED_STATUSES}
    found = _single(_counted(connection, hourly_messages, account, span, (by,), wanted))
    return _most_frequent({name: counts for name, counts in found.items() if any(counts)}, span, most)


def removals(
    connection: Connection, account: str, span: Span, list_number: str | None = None, most: int = 5
) -> dict[str, Counts]:
    """Return removals by reason, including opt-outs: most frequent first, the rest as `other`."""
    wanted = {"list_number": list_number, "event": ("unsubscribe", "removed")}
    return _most_frequent(_single(_counted(connection, hourly_events, account, span, ("detail",), wanted)), span, most)


def attempts(connection: Connection, account: str, span: Span, endpoint: str | None = None) -> dict[str, Tries]:
    """Return attempts by endpoint, busiest first."""
    found = outcomes(connection, account, span, endpoint)
    totals: dict[str, list[Counts]] = {}
    for (name, _), counts in found.items():
        totals.setdefault(name, []).append(counts)
    tries = {
        name: Tries(_added(counts, span), found.get((name, TAKEN), [0] * span.count)) for name, counts in totals.items()
    }
    return dict(sorted(tries.items(), key=lambda each: (-sum(each[1].attempts), each[0])))


def outcomes(
    connection: Connection, account: str, span: Span, endpoint: str | None = None
) -> dict[tuple[str, str], Counts]:
    """Return attempts by (endpoint, outcome)."""
    return _counted(connection, hourly_attempts, account, span, ("endpoint", "outcome"), {"endpoint": endpoint})


def latencies(
    connection: Connection, account: str, span: Span, shares: tuple[float, ...], endpoint: str | None = None
) -> dict[str, dict[float, Latencies]]:
    """Return percentiles (shares of 1) of each endpoint's response times, including attempts that timed out."""
    classes = _counted(connection, hourly_latencies, account, span, ("endpoint", "at_most_ms"), {"endpoint": endpoint})
    by_endpoint: dict[str, dict[int, Counts]] = {}
    for (name, bound), counts in classes.items():
        by_endpoint.setdefault(name, {})[bound] = counts
    return {name: {share: _latencies(found, share, span) for share in shares} for name, found in by_endpoint.items()}


def _latencies(classes: Mapping[int, Counts], share: float, span: Span) -> Latencies:
    steps = [
        percentile({bound: counts[number] for bound, counts in classes.items()}, share) for number in range(span.count)
    ]
    return Latencies(steps, percentile({bound: sum(counts) for bound, counts in classes.items()}, share))


def _counted(
    connection: Connection,
    table: Table,
    account: str,
    span: Span,
    names: tuple[str, ...],
    wanted: Mapping[str, str | tuple[str, ...] | frozenset[str] | None],
) -> dict[Any, Counts]:
    """Return counts by these columns' values, of rows that match; None matches anything."""
    hour = table.c.hour
    key = (hour - (hour - span.first) % span.step).label("step")
    columns = [table.c[name] for name in names]
    conditions = [_holds(table.c[name], value) for name, value in wanted.items() if value is not None]
    query = (
        select(key, *columns, func.sum(table.c.count).label("total"))
        .where(table.c.account == account, hour >= span.first, *conditions)
        .group_by(key, *columns)
    )
    found: dict[Any, Counts] = {}
    for row in connection.execute(query):
        place = span.place(row.step)
        if place < span.count:
            found.setdefault(tuple(row[1:-1]), [0] * span.count)[place] = int(row.total)
    return found


def _holds(column: Column[Any], value: str | tuple[str, ...] | frozenset[str]) -> Any:
    return column == value if isinstance(value, str) else column.in_(value)


def _single(found: Mapping[tuple[str], Counts]) -> dict[str, Counts]:
    return {name: counts for (name,), counts in found.items()}


def _most_frequent(found: Mapping[str, Counts], span: Span, most: int) -> dict[str, Counts]:
    ordered = sorted(found, key=lambda name: (-sum(found[name]), name))
    named = {name: found[name] for name in ordered[:most]}
    left = [found[name] for name in ordered[most:]]
    return named | ({OTHER: _added([*left, *([named[OTHER]] if OTHER in named else [])], span)} if left else {})


def _added(counts: list[Counts], span: Span) -> Counts:
    return [sum(each) for each in zip(*counts, strict=True)] if counts else [0] * span.count
