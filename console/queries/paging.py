"""Lists read newest first, one page at a time.

A page begins after a row, identified by time and id, so that new rows neither repeat nor hide others, and every page
costs the same. A cursor holds that position and a digest of the query; it is refused for another query.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Table, select, tuple_

T = TypeVar("T")

DEFAULT_LIMIT, MAX_LIMIT = 50, 200

_START = 2**63 - 1, 2**63 - 1
"""The position before every row."""


class BadCursor(ValueError):
    """A cursor that is invalid, or belongs to another query."""


@dataclass(frozen=True, slots=True)
class Ask:
    """The requested page: `limit` rows after `cursor`, or the newest ones. `question` is the query as text."""

    question: str
    cursor: str | None = None
    limit: int = DEFAULT_LIMIT


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows, newest first, and the cursor of the next page; None if there is none."""

    rows: tuple[T, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class RowSource(Generic[T]):
    """Where the items of a list come from. `time` names the table's time column; `make` builds an item from a row.

    `few`: the conditions match a handful of rows, found by an index without the time. `by`: columns of another table
    that are the same as the row's time and id, and by whose index the rows are read in order.
    """

    table: Table
    time: str
    make: Callable[[Row[Any]], T]
    few: bool = False
    by: tuple[ColumnElement[int], ColumnElement[int]] | None = None


def newest(connection: Connection, source: RowSource[T], where: Iterable[ColumnElement[bool]], ask: Ask) -> Page[T]:
    """Return one page of the items that meet the conditions. Raises BadCursor."""
    table, time = source.table, source.time
    at, number = source.by or (table.c[time], table.c.id)
    # A sum is in no index, so the rows are found first and sorted afterwards. SQLite would scan all of them by time.
    at = at + 0 if source.few else at
    query = select(table).where(*where).order_by(at.desc(), number.desc()).limit(ask.limit + 1)
    if ask.cursor is not None:
        query = query.where(tuple_(at, number) < tuple_(*_place(ask)))
    found = connection.execute(query).all()
    rows = found[: ask.limit]
    following = None
    if len(found) > ask.limit:
        place = (rows[-1]._mapping[time], rows[-1]._mapping["id"]) if rows else _START
        following = _cursor(ask.question, *place)
    return Page(tuple(map(source.make, rows)), following)


def marked_first(
    connection: Connection, source: RowSource[T], mark: str, where: Iterable[ColumnElement[bool]], ask: Ask
) -> Page[T]:
    """Return one page of a list that begins with the rows whose column `mark` is true. Raises BadCursor.

    Each part is a range of an index that begins with the account and the mark.
    """
    where, cursor, found = tuple(where), ask.cursor, list[T]()
    parts = [(value, f"{ask.question} {mark}={value}") for value in (True, False)]
    if cursor is not None and _read(cursor)[2] == _digest(parts[1][1]):
        del parts[0]
    for value, question in parts:
        rest = Ask(question, cursor, ask.limit - len(found))
        part = newest(connection, source, (*where, source.table.c[mark].is_(value)), rest)
        found += part.rows
        if part.next_cursor is not None:
            return Page(tuple(found), part.next_cursor)
        cursor = None
    return Page(tuple(found), None)


def _cursor(question: str, at: int, number: int) -> str:
    return base64.urlsafe_b64encode(f"{at}.{number}.{_digest(question)}".encode()).decode("ascii").rstrip("=")


def _place(ask: Ask) -> tuple[int, int]:
    assert ask.cursor is not None
    at, number, digest = _read(ask.cursor)
    if digest != _digest(ask.question) or not all(-(2**63) <= each < 2**63 for each in (at, number)):
        raise BadCursor("belongs to another query: begin without a cursor when filters change")
    return at, number


def _read(cursor: str) -> tuple[int, int, str]:
    """Return a cursor's time, number, and digest. Raises BadCursor."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        at, number, digest = text.split(".")
        return int(at), int(number), digest
    except (ValueError, binascii.Error):
        raise BadCursor("is not a valid cursor; pass next_cursor unchanged") from None


def _digest(question: str) -> str:
    return hashlib.sha256(question.encode()).hexdigest()[:12]
