"""Inserts that know what to do about a row that is there already: PostgreSQL and SQLite write them alike."""

from __future__ import annotations

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_into(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An insert with `on_conflict_do_update` and `on_conflict_do_nothing`, in the database's own words."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
