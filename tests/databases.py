"""Databases for single tests on a PostgreSQL server."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text

from database.engine import open_engine


@contextmanager
def database_in(server: str, template: str = "template0") -> Iterator[str]:
    """Yield the URL of a new database on a server, a copy of `template`; it is dropped after the block."""
    name = f"t{secrets.token_hex(6)}"
    _run(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield server.rpartition("/")[0] + f"/{name}"
    finally:
        _run(server, f"DROP DATABASE {name} WITH (FORCE)")


def _run(server: str, statement: str) -> None:
    engine = open_engine(server).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()
