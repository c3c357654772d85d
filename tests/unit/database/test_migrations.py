"""Migrations create exactly the tables of `tables.py`, on both databases, whoever runs them and how often."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, select, text

import database.migrating
from database.engine import disposing, open_engine
from database.migrating import DatabaseTooNew, is_migrated, migrate
from database.tables import METADATA, hourly_messages, message_tags, messages
from tests.databases import database_in


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    with database_in(request.getfixturevalue("postgres")) as url:
        yield url


@pytest.fixture
def own_database(empty_url: str) -> Iterator[Engine]:
    """A database with all tables that no other test uses, so that its tables may be changed."""
    with disposing(open_engine(empty_url)) as engine:
        migrate(engine)
        yield engine


def differences(engine: Engine) -> list[object]:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, METADATA))


def test_migrations_make_the_tables_that_the_code_knows(database: Engine) -> None:
    assert is_migrated(database)
    assert differences(database) == []


def test_a_difference_would_be_found(own_database: Engine) -> None:
    with own_database.begin() as connection:
        connection.execute(text("ALTER TABLE replies DROP COLUMN text"))
    assert "text" in repr(differences(own_database))


def test_a_database_that_is_up_to_date_is_left_alone(database: Engine) -> None:
    with database.begin() as connection:
        connection.execute(text("INSERT INTO key_uses (key_id, last_used_at) VALUES ('k', 1)"))
    migrate(database)
    with database.connect() as connection:
        assert connection.execute(text("SELECT key_id FROM key_uses")).scalars().all() == ["k"]


def test_an_empty_database_is_brought_up(empty_url: str) -> None:
    engine = open_engine(empty_url)
    assert not is_migrated(engine)
    migrate(engine)
    assert is_migrated(engine)
    engine.dispose()


def test_of_several_processes_that_start_at_once_one_migrates(empty_url: str) -> None:
    engines = [open_engine(empty_url) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(migrate, engines))
    assert differences(engines[0]) == []
    for engine in engines:
        engine.dispose()


def test_a_database_of_a_newer_version_is_refused(own_database: Engine) -> None:
    with own_database.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseTooNew, match=r"revision 9999.*newer version"):
        migrate(own_database)


def test_the_one_tag_of_a_message_becomes_a_tag_named_tag(empty_url: str) -> None:
    engine = open_engine(empty_url)
    with engine.begin() as connection:
        command.upgrade(database.migrating._config(connection), "0012")
        for number, tag in enumerate(["it's", 'a "quoted" é', None]):
            row = dict.fromkeys(("account", "provider", "message_id", "status", "status_detail"), "x")
            row |= {"status_class": "x", "final": True, "provider_message_id": str(number), "tag": tag, "updated_at": 7}
            names = ", ".join(row)
            connection.execute(text(f"INSERT INTO messages ({names}) VALUES (:{', :'.join(row)})"), row)  # noqa: S608
    migrate(engine)
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(select(message_tags).order_by(message_tags.c.message))]
        stored = connection.execute(select(messages.c.tags).order_by(messages.c.id)).scalars().all()
    assert found == [(1, "x", "tag", "it's", 7), (2, "x", "tag", 'a "quoted" é', 7)]
    assert stored == [*(orjson.dumps({"tag": tag}).decode() for *_, tag, _ in found), None]
    assert differences(engine) == []
    engine.dispose()


def test_what_was_counted_as_events_stays_counted_as_messages(empty_url: str) -> None:
    with disposing(open_engine(empty_url)) as engine:
        with engine.begin() as connection:
            command.upgrade(database.migrating._config(connection), "0013")
            for event, status, detail, count in (
                ("delivery", "delivered", "DELIVERED_TO_OPERATOR", 3),
                ("delivery", "delivered", "DELIVERED_TO_HANDSET", 4),
                ("delivery", "expired", "EXPIRED", 2),
                ("reply", "", "", 9),
            ):
                row = {"account": "acme", "hour": 0, "provider": "infobip", "list_number": ""}
                row |= {"event": event, "status": status, "detail": detail, "count": count}
                names = ", ".join(row)
                connection.execute(
                    text(f"INSERT INTO hourly_events ({names}) VALUES (:{', :'.join(row)})"),  # noqa: S608
                    row,
                )
        migrate(engine)
        columns = hourly_messages.c
        with engine.connect() as connection:
            found = connection.execute(select(columns.status, columns.detail, columns["count"]).order_by("status"))
            assert [tuple(row) for row in found] == [("delivered", "", 7), ("expired", "EXPIRED", 2)]


DROPPED = {("0013", "messages.tag")}
"""What older builds read or write and a migration takes away, all from before the first release."""


def test_a_migration_leaves_what_processes_of_the_build_before_read_and_write(empty_url: str) -> None:
    """They still run when the newer version migrates the database, and go on until they are replaced."""
    taken: set[tuple[str, str]] = set()
    with disposing(open_engine(empty_url)) as engine:
        before: dict[str, set[str]] = {}
        for revision in revisions():
            with engine.begin() as connection:
                command.upgrade(database.migrating._config(connection), revision)
            found = {name: inspect(engine).get_columns(name) for name in inspect(engine).get_table_names()}
            after = {name: {column["name"] for column in columns} for name, columns in found.items()}
            for table, columns in before.items():
                taken |= {(revision, f"{table}.{column}") for column in columns - after.get(table, set())}
                # A process that does not know a column gives no value for it.
                required = {
                    column["name"] for column in found.get(table, ())
                    if column["name"] not in columns and not column["nullable"] and column["default"] is None
                }  # fmt: skip
                assert not required, f"{revision} requires {required} of {table}"
            before = after
    assert taken == DROPPED


def revisions() -> list[str]:
    versions = database.migrating.VERSIONS.glob("versions/0*.py")
    return sorted(path.name.partition("_")[0] for path in versions)


def test_a_migration_that_fails_leaves_nothing(empty_url: str) -> None:
    engine = open_engine(empty_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE users (unlike INTEGER)"))
    with pytest.raises(Exception, match="users"):
        migrate(engine)
    assert inspect(engine).get_table_names() == ["users"]
    engine.dispose()


def test_a_revision_is_written_of_what_the_tables_want(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(database.migrating.VERSIONS, tmp_path / "migrations"))
    monkeypatch.setattr(database.migrating, "VERSIONS", copied)
    written = database.migrating.write_revision("Say what changes", "9999")
    text = written.read_text("utf-8")
    assert written.parent == copied / "versions"
    assert "9999" in text
    assert "# ###" not in text
