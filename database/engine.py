"""Connections to the database."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError, SQLAlchemyError

SQLITE_WAIT_MS = 10_000
"""Milliseconds that a write waits for another one on SQLite, which has one writer at a time."""

LOST_AFTER = 60
"""Seconds after which either end of a connection to PostgreSQL gives up one that the network has lost silently."""

_PROBING = {"keepalives_idle": 20, "keepalives_interval": 10, "keepalives_count": 4}
"""When either end probes a silent one. By default, a server does after two hours, for which a lost writer would keep
its lock."""


class DatabaseUrlError(ValueError):
    """DATABASE_URL names no supported database."""


class DatabaseFileGone(SQLAlchemyError):
    """SQLite's file was removed while the process used it."""

    def __init__(self) -> None:
        super().__init__("its file was removed; put it back, or restart all services that use it to begin a new one")


class SharedSession(SQLAlchemyError):
    """A pool in front of PostgreSQL gives one session to several connections in turn."""

    def __init__(self) -> None:
        super().__init__(
            "DATABASE_URL names a pool that shares its sessions, so two processes could write at once: name PostgreSQL"
            " itself, or a pool that keeps a session for each connection (PgBouncer: pool_mode=session)"
        )


def open_engine(url: str, *, read_only: bool = False, pool_size: int = 5) -> Engine:
    """Return an engine for SQLite or PostgreSQL, not yet connected. Raises DatabaseUrlError without the password.

    `read_only`: writes fail. Each transaction sees a consistent snapshot and waits for nobody. On SQLite, the
    transactions of other engines wait for each other, even if they only read.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the latter quotes the invalid port
        raise DatabaseUrlError("DATABASE_URL is not a valid URL: write postgresql://user:password@host/name") from None
    match parsed.get_backend_name():
        case "sqlite":
            engine = create_engine(
                parsed, pool_size=pool_size, connect_args={"check_same_thread": False}, hide_parameters=True
            )
            _on_sqlite_connect(engine, read_only)
            _on_sqlite_checkout(engine)
            return engine
        case "postgresql" | "postgres":
            parsed = _with_hidden_password(parsed.set(drivername="postgresql+psycopg"))
            isolation = "REPEATABLE READ" if read_only else "READ COMMITTED"
            arguments: dict[str, Any] = {
                "connect_timeout": 10,
                **_PROBING,
                # Without it, a request that is not confirmed is sent again for a quarter of an hour, without probes.
                "tcp_user_timeout": LOST_AFTER * 1000,
            }
            engine = create_engine(
                parsed,
                pool_size=pool_size,
                pool_pre_ping=True,
                isolation_level=isolation,
                connect_args=arguments,
                hide_parameters=True,
            )
            _on_postgres_connect(engine, read_only)
            return engine
        case other:
            raise DatabaseUrlError(f"DATABASE_URL begins with {other}: trackly supports postgresql and sqlite")


@contextmanager
def disposing(engine: Engine) -> Iterator[Engine]:
    """Yield the engine, and close its connections at the end of the block."""
    try:
        yield engine
    finally:
        engine.dispose()


def _on_postgres_connect(engine: Engine, read_only: bool) -> None:
    lost = {f"tcp_{name}": value for name, value in _PROBING.items()} | {"tcp_user_timeout": LOST_AFTER * 1000}
    settings = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in lost.items())

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _: Any) -> None:
        # PgBouncer refuses a session's options in the startup message.
        connection.execute(f"SELECT {settings}")
        connection.commit()
        if read_only:
            # Each BEGIN says so, because PgBouncer may share its sessions.
            connection.read_only = True


def _with_hidden_password(url: URL) -> URL:
    """Move a password in the URL's query to the field that is never shown."""
    password = url.query.get("password")
    if not isinstance(password, str):
        return url
    return url.set(password=password).difference_update_query(["password"])


def _on_sqlite_connect(engine: Engine, read_only: bool) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: Any, _: Any) -> None:
        # The driver would begin its transactions late, at the first write, and none for schema changes.
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
        # A transaction that reads before it writes could not wait for another writer: it would fail.
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


_FILE = "file"
"""What a connection's `info` calls the file that it has open: device and inode, or None if it has none."""


def is_replaced(connection: Connection) -> bool:
    """Whether the database is SQLite and another file is at its path now, or none.

    SQLite notices neither: it goes on writing to the file that nobody finds any more.
    """
    opened = connection.info.get(_FILE)
    return opened is not None and opened != _file_at(connection.engine.url.database)


def _on_sqlite_checkout(engine: Engine) -> None:
    path, known = engine.url.database, False

    @event.listens_for(engine, "do_connect")
    def may_connect(*_: Any) -> None:
        # SQLite would begin an empty database.
        if known and _file_at(path) is None:
            raise DatabaseFileGone

    @event.listens_for(engine, "connect")
    def connect(_: Any, record: Any) -> None:
        nonlocal known
        record.info[_FILE] = _file_at(path)
        known = known or record.info[_FILE] is not None

    @event.listens_for(engine, "checkout")
    def checkout(_: Any, record: Any, __: Any) -> None:
        if record.info[_FILE] != (now := _file_at(path)):
            if now is None:
                raise DatabaseFileGone
            raise DisconnectionError("another file is at the database's path")


def _file_at(path: str | None) -> tuple[int, int] | None:
    """Return the identity of the file at a path; None if there is none."""
    if not path:
        return None
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _use_write_ahead_log(cursor: Any) -> None:
    """Let the console read while the read model writes.

    The file remembers this mode. The switch requires exclusive access, and SQLite does not wait for that by itself.
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
