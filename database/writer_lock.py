"""The lock for writing the read model, held by one process at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, text

from database.engine import SharedSession

ADVISORY_LOCK = 0x74726B6E
"""PostgreSQL advisory lock held by the writer's connection. Losing the connection loses the lock and the
transaction."""


class AnotherWrites(RuntimeError):
    """Another process writes the read model."""


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Yield the only writer's connection; nobody else gets one until the block ends. Raises AnotherWrites, and
    SharedSession if the lock would not be this connection's own.

    All of the writer's writes go through this connection.
    """
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            taken = connection.execute(text(f"SELECT pg_try_advisory_lock({ADVISORY_LOCK})")).scalar_one()
            # A plan made for small tables would be kept while they grow.
            connection.execute(text("SET plan_cache_mode = force_custom_plan"))
            connection.commit()
            if not taken:
                raise AnotherWrites("another process writes the read model of this database")
            try:
                _refuse_a_shared_session(engine, connection)
                yield connection
            finally:
                # The lock belongs to the session: returned to the pool, the connection would keep it.
                connection.invalidate()
        else:
            with _locked_file(Path(str(engine.url.database) + ".writer")):
                yield connection


def _refuse_a_shared_session(engine: Engine, connection: Connection) -> None:
    dbapi: Any = connection.connection.dbapi_connection
    told = dbapi.info.backend_pid
    if told == _session(connection):
        return
    # A pool is in between, which made up the process id that it told. One that shares sessions gives the next
    # connection that of an idle one.
    with engine.connect() as other:
        if _session(connection) == _session(other):
            other.execute(text("SELECT pg_advisory_unlock_all()"))
            other.commit()
            raise SharedSession


def _session(connection: Connection) -> int:
    """Return the process id of the session that serves the next transaction, and end that."""
    found = int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
    connection.commit()
    return found


@contextmanager
def _locked_file(path: Path) -> Iterator[None]:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AnotherWrites(f"another process writes the read model: it holds {path}") from None
        yield
    finally:
        os.close(file)
