"""Bulk operations on a table's rows, optimized for each database.

PostgreSQL gets rows by COPY and sets of keys as arrays; SQLite gets prepared statements and one JSON text. Statements
with a parameter per value take several times longer to parse than to execute.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import orjson
import psycopg
from sqlalchemy import BigInteger, Boolean, Connection, LargeBinary, Table, Text, case
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

Row = dict[str, Any]
Key = tuple[Any, ...]

INDEXED_CHARACTERS = 255
"""Longest text in an index: PostgreSQL accepts entries of 2,704 bytes, and two texts chosen by strangers may
share one."""


def fitting(table: Table, row: Row) -> Row:
    """Return the row in a form that both databases can store; usually unchanged.

    PostgreSQL allows no zero byte in texts; indexed texts are truncated.
    """
    for name, indexed in _texts(table):
        value = row.get(name)
        if value is not None and ("\x00" in value or (indexed and len(value) > INDEXED_CHARACTERS)):
            row = {**row, name: fitting_text(value, indexed)}
    return row


def fitting_text(text: str, indexed: bool = True) -> str:
    """Return a text as it is stored."""
    text = text.replace("\x00", "\ufffd")
    return text[: INDEXED_CHARACTERS - 1] + "…" if indexed and len(text) > INDEXED_CHARACTERS else text


def find(
    connection: Connection, table: Table, key: Sequence[str], values: Collection[Key], columns: Sequence[str] = ()
) -> list[Row]:
    """Return rows whose key columns are among `values`: the named columns, or all.

    An index must begin with the first key column, which must be selective: rows are found by it alone.
    """
    if not values:
        return []
    names = columns or [column.name for column in table.columns]
    selected = ", ".join(f"t.{name}" for name in names)
    if connection.dialect.name == "postgresql":
        arrays = ", ".join(f"%s::{_type(table, name)}[]" for name in key)
        given = [f"k{number}" for number in range(len(key))]
        # Without statistics, PostgreSQL would choose any index with an account. IS NOT DISTINCT FROM uses none.
        fits = f"t.{key[0]} = k.k0" + "".join(
            f" AND t.{name} IS NOT DISTINCT FROM k.{own}" for name, own in zip(key[1:], given[1:], strict=True)
        )
        statement = f"SELECT {selected} FROM unnest({arrays}) AS k({', '.join(given)}) JOIN {table.name} t ON {fits}"  # noqa: S608
        parameters: tuple[Any, ...] = tuple(map(list, zip(*values, strict=True)))
    else:
        fits = " AND ".join(f"t.{name} = json_extract(k.value, '$[{number}]')" for number, name in enumerate(key))
        # CROSS JOIN: SQLite reads the keys first, and finds each by the index.
        statement = f"SELECT {selected} FROM json_each(?) AS k CROSS JOIN {table.name} t ON {fits}"  # noqa: S608
        parameters = (orjson.dumps(list(values)).decode(),)
    found = connection.exec_driver_sql(statement, parameters)
    return [dict(zip(names, row, strict=True)) for row in found]


def insert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Add rows, all with the same columns. Raises sqlalchemy.exc.IntegrityError if one exists."""
    if not rows:
        return
    names = list(rows[0])
    listed = ", ".join(names)
    if connection.dialect.name == "postgresql":
        _copy(connection, f"COPY {table.name} ({listed}) FROM STDIN", rows)
    else:
        marks = ", ".join("?" * len(names))
        statement = f"INSERT INTO {table.name} ({listed}) VALUES ({marks})"  # noqa: S608
        connection.exec_driver_sql(statement, [tuple(row.values()) for row in rows])


def _copy(connection: Connection, statement: str, rows: Iterable[Row]) -> None:
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(tuple(row.values()))
    except psycopg.Error as error:
        raise DBAPIError.instance(statement, None, error, psycopg.Error, hide_parameters=True) from error


def update(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Update columns of rows by their first column, a key. All rows have the same columns."""
    if not rows:
        return
    names = list(rows[0])
    if connection.dialect.name == "postgresql":
        arrays = ", ".join(f"%s::{_type(table, name)}[]" for name in names)
        given = ", ".join(f"{name} = v.{name}" for name in names[1:])
        statement = (
            f"UPDATE {table.name} t SET {given} FROM unnest({arrays}) AS v({', '.join(names)})"  # noqa: S608
            f" WHERE t.{names[0]} = v.{names[0]}"
        )
        connection.exec_driver_sql(statement, tuple([row[name] for row in rows] for name in names))
    else:
        given = ", ".join(f"{name} = ?" for name in names[1:])
        statement = f"UPDATE {table.name} SET {given} WHERE {names[0]} = ?"  # noqa: S608
        connection.exec_driver_sql(statement, [(*list(row.values())[1:], row[names[0]]) for row in rows])


def put(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Add rows, or replace those with the same primary key."""
    _upsert(connection, table, rows, lambda stored, new: new)


def add(connection: Connection, table: Table, rows: Sequence[Row], newest: Collection[str] = ()) -> None:
    """Add rows, or add their values to the rows with the same primary key.

    In the columns named in `newest`, the greater value wins.
    """

    def value(stored: Any, new: Any) -> Any:
        return case((new > stored, new), else_=stored) if stored.name in newest else stored + new

    _upsert(connection, table, rows, value)


def _upsert(connection: Connection, table: Table, rows: Sequence[Row], value: Any) -> None:
    if not rows:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table)
    key = [column.name for column in table.primary_key]
    changed = {
        column.name: value(column, statement.excluded[column.name])
        for column in table.columns
        if column.name not in key
    }
    connection.execute(statement.on_conflict_do_update(index_elements=key, set_=changed), list(rows))


@cache
def _texts(table: Table) -> tuple[tuple[str, bool], ...]:
    """Return text columns, and whether each is in an index."""
    indexed = {column.name for index in table.indexes for column in index.columns}
    indexed |= {column.name for constraint in table.constraints for column in getattr(constraint, "columns", ())}
    return tuple((column.name, column.name in indexed) for column in table.columns if isinstance(column.type, Text))


_TYPES: Mapping[type, str] = {Text: "text", BigInteger: "bigint", Boolean: "boolean", LargeBinary: "bytea"}


def _type(table: Table, name: str) -> str:
    return _TYPES[type(table.c[name].type)]
