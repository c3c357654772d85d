"""Connections to the database."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
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
    except (ArgumentError, ValueError):  # the latter repeats what it takes for the port
        raise DatabaseUrlError("DATABASE_URL is not a valid URL: write postgresql://user:password@host/name") from None
    match parsed.get_backend_name():
        case "sqlite":
            engine = create_engine(
                parsed, pool_size=pool_size, connect_args={"check_same_thread": False}, hide_parameters=True
            )
            _on_sqlite_connect(engine, read_only)
            return engine
        case "postgresql" | "postgres":
            parsed = _with_hidden_password(parsed.set(drivername="postgresql+psycopg"))
            isolation = "REPEATABLE READ" if read_only else "READ COMMITTED"
            # A server that is gone without a word is noticed within a minute or so.
            arguments: dict[str, Any] = {"connect_timeout": 10, "keepalives_idle": 20, "keepalives_interval": 10}
            if read_only:
                arguments["options"] = "-c default_transaction_read_only=on"
            return create_engine(
                parsed,
                pool_size=pool_size,
                pool_pre_ping=True,
                isolation_level=isolation,
                connect_args=arguments,
                hide_parameters=True,
            )
        case other:
            raise DatabaseUrlError(f"DATABASE_URL begins with {other}: trackly knows postgresql and sqlite")


@contextmanager
def disposing(engine: Engine) -> Iterator[Engine]:
    """The engine; its connections end with the block."""
    try:
        yield engine
    finally:
        engine.dispose()


def _with_hidden_password(url: URL) -> URL:
    """The URL with a password of its query in the place that is never shown."""
    password = url.query.get("password")
    if not isinstance(password, str):
        return url
    return url.set(password=password).difference_update_query(["password"])


def _on_sqlite_connect(engine: Engine, read_only: bool) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: Any, _: Any) -> None:
        # The driver would begin its transactions late, at the first write, and none for changes of tables.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {SQLITE_WAIT_MS}")
        _use_write_ahead_log(cursor)
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA cache_size = -65536")
        if read_only:
            cursor.execute("PRAGMA query_only = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and writes later could not wait for another writer: it would fail.
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _use_write_ahead_log(cursor: Any) -> None:
    """Let the console read while the read model writes.

    The file remembers it. The first time nobody else may use it, and SQLite does not wait for that by itself.
    """
    deadline = time.monotonic() + SQLITE_WAIT_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
