"""Neither end of a connection to PostgreSQL waits for long for one that a network lost without a word."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from database.engine import LOST_AFTER, disposing, open_engine


@pytest.fixture(params=[False, True], ids=["writes", "reads"])
def engine(request: pytest.FixtureRequest, postgres_database: str) -> Iterator[Engine]:
    with disposing(open_engine(postgres_database, read_only=request.param)) as engine:
        yield engine


def option(connection: Connection, number: int) -> int:
    """Return an option of the connection's TCP socket."""
    driver: Any = connection.connection.dbapi_connection
    with socket.socket(fileno=driver.pgconn.socket) as borrowed:
        found = borrowed.getsockopt(socket.IPPROTO_TCP, number)
        borrowed.detach()
    return found


def told(connection: Connection, name: str) -> int:
    """Return a setting of the server's session, in its base unit."""
    found = connection.execute(text("SELECT setting FROM pg_settings WHERE name = :name"), {"name": name})
    return int(found.scalar_one())


def test_a_request_that_the_server_does_not_confirm_fails(engine: Engine) -> None:
    with engine.connect() as connection:
        assert option(connection, socket.TCP_USER_TIMEOUT) == LOST_AFTER * 1000


def test_a_wait_for_an_answer_of_a_lost_server_ends(engine: Engine) -> None:
    with engine.connect() as connection:
        probes = option(connection, socket.TCP_KEEPINTVL) * option(connection, socket.TCP_KEEPCNT)
        assert option(connection, socket.TCP_KEEPIDLE) + probes <= LOST_AFTER


def test_the_server_ends_the_session_of_a_lost_client_and_frees_its_locks(engine: Engine) -> None:
    with engine.connect() as connection:
        probes = told(connection, "tcp_keepalives_interval") * told(connection, "tcp_keepalives_count")
        assert told(connection, "tcp_keepalives_idle") + probes <= LOST_AFTER
        assert told(connection, "tcp_user_timeout") == LOST_AFTER * 1000
