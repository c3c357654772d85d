"""Connections to the database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

SQLITE_WAIT_MS = 10_000
"""How long a write waits for another one on SQLite, which has one writer at a time."""


class DatabaseUrlError(ValueError):
    """DATABASE_URL names no database that trackly knows."""


def open_engine(url: str, *, read_only: bool = False, pool_size: int = 5) -> Engine:
    """An engine for SQLite or PostgreSQL, not yet connected. Raises DatabaseUrlError, which repeats no password.

    `read_only`: statements that write fail. Its transactions see one state of the database each, and wait for nobody.
    On SQLite the transactions of other engines wait for each other, even if they only read.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise DatabaseUrlError("DATABASE_URL is no URL: write postgresql://user:password@host/name") from None
    match parsed.get_backend_name():
        case "sqlite":
            engine = create_engine(parsed, pool_size=pool_size, connect_args={"check_same_thread": False})
            _on_sqlite_connect(engine, read_only)
            return engine
        case "postgresql" | "postgres":
            parsed = parsed.set(drivername="postgresql+psycopg")
            isolation = "REPEATABLE READ" if read_only else "READ COMMITTED"
            options = {"options": "-c default_transaction_read_only=on"} if read_only else {}
            return create_engine(
                parsed, pool_size=pool_size, pool_pre_ping=True, isolation_level=isolation, connect_args=options
            )
        case other:
            raise DatabaseUrlError(f"DATABASE_URL begins with {other}: trackly knows postgresql and sqlite")


def _on_sqlite_connect(engine: Engine, read_only: bool) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: Any, _: Any) -> None:
        # The driver would begin its transactions late, at the first write, and none for changes of tables.
        connection.isolation_level = None
        cursor = connection.cursor()
        # The log lets the console read while the read model writes.
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute(f"PRAGMA busy_timeout = {SQLITE_WAIT_MS}")
        cursor.execute("PRAGMA cache_size = -65536")
        if read_only:
            cursor.execute("PRAGMA query_only = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and writes later could not wait for another writer: it would fail.
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
