"""Writes the meaning of records into the read model's tables. There must be one writer at a time, or counts come out
wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from sqlalchemy import Connection, Table, UniqueConstraint, delete

from database import bulk
from database.bulk import Key, Row, fitting, fitting_text
from database.tables import (
    attempts,
    contact_changes,
    contacts,
    dead_webhooks,
    hourly_attempts,
    hourly_events,
    hourly_latencies,
    hourly_messages,
    messages,
    minutely_events,
    receivers,
)
from readmodel.erasure import erase
from readmodel.messages import MessageNews, merged, outcome_of
from readmodel.rows import HOUR, Answered, Change, ContactNews, Count, Erasure, IfKnown, Latest, NewRow
from readmodel.tags import write_tags

T = TypeVar("T")

_IDENTITY = ("provider_message_id", "account", "provider")
_SUCCESS = "2xx"


def write(connection: Connection, changes: Sequence[Change]) -> None:
    """Write changes, in order where that matters.

    An erasure affects what earlier calls wrote, but nothing in this one.
    """
    for erasure in _of(Erasure, changes):
        erase(connection, erasure.account, erasure.number)
    follows: list[Count | MessageNews] = []
    added: dict[Table, list[NewRow]] = {}
    for change in _of(NewRow, changes):
        added.setdefault(change.table, []).append(change)
    for table, rows in added.items():
        for row in _add(connection, table, rows):
            follows += row.follows
    _add_where_known(connection, list(_of(IfKnown, changes)))
    everything = [*changes, *follows]
    outcomes = _write_messages(connection, list(_of(MessageNews, everything)))
    _write_contacts(connection, list(_of(ContactNews, changes)))
    _mark_delivered(connection, {(each.event_id, each.account) for each in _of(Answered, changes)})
    _replace(connection, _of(Latest, changes))
    _write_counts(connection, [*_of(Count, everything), *outcomes])


def _of(kind: type[T], changes: Iterable[object]) -> Iterator[T]:
    return (change for change in changes if isinstance(change, kind))


def _add(connection: Connection, table: Table, new: Iterable[NewRow]) -> list[NewRow]:
    """Add rows whose identity does not exist yet; returns them."""
    fitted = [NewRow(table, fitting(table, each.row), each.follows) for each in new]
    identity = _identity(table)
    if identity:
        # Keep the first of several with the same identity, in order of arrival, because other changes depend on it.
        unique: dict[Key, NewRow] = {}
        for each in fitted:
            unique.setdefault(tuple(each.row[name] for name in identity), each)
        for known in bulk.find(connection, table, identity, list(unique), identity):
            del unique[tuple(known.values())]
        fitted = list(unique.values())
    bulk.insert(connection, table, [each.row for each in fitted])
    return fitted


def _add_where_known(connection: Connection, new: Sequence[IfKnown]) -> None:
    for table in {each.table for each in new}:
        fitted = [fitting(table, each.row) for each in new if each.table is table]
        key = ("number", "account")
        wanted = {(row["number"], row["account"]) for row in fitted}
        known = {(row["number"], row["account"]) for row in bulk.find(connection, table, key, wanted, key)}
        _add(connection, table, [NewRow(table, row) for row in fitted if (row["number"], row["account"]) in known])


def _identity(table: Table) -> tuple[str, ...]:
    """Return columns whose equality identifies a record; empty if only the position does."""
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            return tuple(column.name for column in constraint.columns)
    return ()


def _write_messages(connection: Connection, news: Sequence[MessageNews]) -> list[Count]:
    """Write the messages' new states; returns what to count for them."""
    keys = [_message_key(each) for each in news]
    known: dict[Key, Row] = {
        tuple(row[name] for name in _IDENTITY): row for row in bulk.find(connection, messages, _IDENTITY, set(keys))
    }
    rows = dict(known)
    for key, each in zip(keys, news, strict=True):
        rows[key] = merged(rows.get(key), each)
    rows = {key: fitting(messages, row) for key, row in rows.items()}
    bulk.insert(connection, messages, [row for row in rows.values() if "id" not in row])
    bulk.update(connection, messages, [row for row in rows.values() if "id" in row])
    write_tags(connection, _IDENTITY, known, rows)
    return [count for key, row in rows.items() for count in _recounted(known.get(key), row)]


def _recounted(before: Row | None, after: Row) -> Iterator[Count]:
    """Count a message where it is now, and no longer where it was."""
    old, new = None if before is None else _place_of(before), _place_of(after)
    if old != new:
        yield from (Count(hourly_messages, place, (by,)) for place, by in ((old, -1), (new, 1)) if place is not None)


def _place_of(message: Row) -> Key | None:
    """Return the key under which a message is counted; None without an outcome."""
    outcome = outcome_of(message)
    if outcome is None:
        return None
    at = message["updated_at"] if message["outcome_at"] is None else message["outcome_at"]
    return message["account"], at - at % HOUR, message["provider"], message["list_number"] or "", *outcome


def _message_key(news: MessageNews) -> Key:
    return fitting_text(news.provider_message_id), fitting_text(news.account), fitting_text(news.provider)


def _write_contacts(connection: Connection, news: Sequence[ContactNews]) -> None:
    keys = {fitting_text(each.contact) for each in news}
    known = {row["contact"]: row for row in bulk.find(connection, contacts, ["contact"], [(key,) for key in keys])}
    news = _newer(news, {key: row["version"] for key, row in known.items()})
    newest = {fitting_text(each.contact): each.row for each in news}
    gone = [row["id"] for key, row in known.items() if key in newest and newest[key] is None]
    if gone:
        connection.execute(delete(contacts).where(contacts.c.id.in_(gone)))
    kept = {key: fitting(contacts, row) for key, row in newest.items() if row is not None}
    bulk.insert(connection, contacts, [row for key, row in kept.items() if key not in known])
    bulk.update(connection, contacts, [{"id": known[key]["id"], **row} for key, row in kept.items() if key in known])
    _add(connection, contact_changes, _restored(news, {key: row["active"] for key, row in known.items()}))


def _newer(news: Iterable[ContactNews], versions: dict[str, int]) -> list[ContactNews]:
    """Drop states older than what is stored, which were written late by a worker that was cut off."""
    kept = []
    for each in news:
        key = fitting_text(each.contact)
        if each.version is None or each.version >= versions.get(key, 0):
            versions[key] = each.version or 0
            kept.append(each)
    return kept


def _restored(news: Iterable[ContactNews], active: dict[str, bool]) -> Iterator[NewRow]:
    for key, row in ((fitting_text(each.contact), each.row) for each in news):
        if row is not None and row["active"] and not active.get(key, True):
            change = {
                "account": row["account"],
                "list_number": row["list_number"],
                "number": row["number"],
                "change": "restored",
                "reason": None,
                "keyword": None,
                "issued_by": None,
                "event_id": row["last_event_id"],
                "at": row["since"],
            }
            yield NewRow(contact_changes, change)
        active[key] = row is None or row["active"]


def _mark_delivered(connection: Connection, answered: set[Key]) -> None:
    """Mark dead letters that were answered 2xx afterwards."""
    key, shown = ("event_id", "account"), ("id", "event_id", "account", "endpoint", "died_at", "delivered_at")
    waiting = [row for row in bulk.find(connection, dead_webhooks, key, answered, shown) if row["delivered_at"] is None]
    if not waiting:
        return
    tried = bulk.find(
        connection,
        attempts,
        key,
        {(row["event_id"], row["account"]) for row in waiting},
        (*key, "endpoint", "outcome", "at"),
    )
    successes = [row for row in tried if row["outcome"] == _SUCCESS]
    delivered = []
    for row in waiting:
        times = [
            attempt["at"]
            for attempt in successes
            if all(attempt[name] == row[name] for name in (*key, "endpoint")) and attempt["at"] >= row["died_at"]
        ]
        if times:
            delivered.append({"id": row["id"], "delivered_at": min(times)})
    bulk.update(connection, dead_webhooks, delivered)


def _replace(connection: Connection, latest: Iterable[Latest]) -> None:
    newest: dict[Table, dict[Key, Row]] = {}
    for each in latest:
        row = fitting(each.table, each.row)
        key = tuple(row[column.name] for column in each.table.primary_key)
        newest.setdefault(each.table, {})[key] = row
    for table, rows in newest.items():
        bulk.put(connection, table, list(rows.values()))


_SUMS = {
    hourly_events: ("count",),
    hourly_messages: ("count",),
    minutely_events: ("count",),
    hourly_attempts: ("count", "latency_ms_sum"),
    hourly_latencies: ("count",),
    receivers: ("replies", "reports", "last_at"),
}
_TIMES = ("last_at",)
"""Columns among the sums for which the newest value counts."""


def _write_counts(connection: Connection, counts: Iterable[Count]) -> None:
    totals: dict[Table, dict[Key, list[int]]] = {}
    for count in counts:
        key = tuple(fitting_text(part) if isinstance(part, str) else part for part in count.key)
        sums = totals.setdefault(count.table, {}).setdefault(key, [0] * len(count.sums))
        for number, (name, value) in enumerate(zip(_SUMS[count.table], count.sums, strict=True)):
            sums[number] = max(sums[number], value) if name in _TIMES else sums[number] + value
    for table, rows in totals.items():
        names = [column.name for column in table.primary_key]
        bulk.add(
            connection,
            table,
            [dict(zip((*names, *_SUMS[table]), (*key, *sums), strict=True)) for key, sums in rows.items()],
            _TIMES,
        )
