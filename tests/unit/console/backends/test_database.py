"""Database access from routes while the database does not answer."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, create_engine, text

from console.backends.database import Reads
from console.errors import ApiError
from database.engine import disposing


def _of_no_table(connection: Connection) -> None:
    connection.execute(text("SELECT 1 FROM nowhere"))


def _with_a_value_of_somebody(connection: Connection) -> None:
    connection.execute(text("INSERT INTO numbers VALUES ('+15551230001'), ('+15551230001')"))


async def test_the_log_says_why_the_database_does_not_answer(
    caplog: pytest.LogCaptureFixture, tmp_path: object
) -> None:
    # A database in memory has a connection for each thread, which only that thread can close.
    with disposing(create_engine(f"sqlite:///{tmp_path}/db")) as engine, pytest.raises(ApiError) as refused:
        await Reads(engine)(_of_no_table)
    assert refused.value.status == 503
    assert "no such table: nowhere" in caplog.text


async def test_the_log_repeats_no_statement(caplog: pytest.LogCaptureFixture, tmp_path: object) -> None:
    with disposing(create_engine(f"sqlite:///{tmp_path}/db", hide_parameters=True)) as engine:
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE numbers (number TEXT UNIQUE)"))
        with pytest.raises(ApiError):
            await Reads(engine)(_with_a_value_of_somebody)
    assert "IntegrityError" in caplog.text
    assert "+15551230001" not in caplog.text
