"""Databases for single tests on a PostgreSQL server."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text

from database.engine import disposing, open_engine
from database.tables import METADATA

_CUT_OFF = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_RESTART_IDS = "SELECT setval(format('%I', sequencename)::regclass, 1, false) FROM pg_sequences"


@contextmanager
def database_in(server: str, template: str = "template0") -> Iterator[str]:
    """Yield the URL of a new database on a server, a copy of `template`; it is dropped after the block."""
    name = f"t{secrets.token_hex(6)}"
    _run(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield server.rpartition("/")[0] + f"/{name}"
    finally:
        _run(server, f"DROP DATABASE {name} WITH (FORCE)")


def empty(url: str) -> None:
    """Make a PostgreSQL database like new: nobody connected, no rows, IDs from 1. A new copy would take far longer."""
    with disposing(open_engine(url)) as engine, engine.begin() as connection:
        connection.execute(text(_CUT_OFF))
        for table in reversed(METADATA.sorted_tables):
            connection.execute(table.delete())
        connection.execute(text(_RESTART_IDS))


def _run(server: str, statement: str) -> None:
    engine = open_engine(server).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()
