"""The read model's writer: rows and positions are committed together, and an invalid record costs only itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Connection, Engine, MetaData, Table, Text, delete, func, insert, select
from sqlalchemy.exc import OperationalError

from bus.layout import Identity, TopicMadeAnew
from bus.memory import CATALOGUE, CODEC, MemoryKafka
from database import tables
from database.engine import DatabaseFileGone, disposing, open_engine
from database.migrating import migrate
from database.read_state import empty, forget_position, freshness_of, positions_in, recreated
from database.writer_lock import AnotherWrites, writing
from readmodel import feed, service, writer
from readmodel.rows import Change
from readmodel.service import ReadModel
from readmodel.settings import ReadModelSettings
from tests.clock import START
from tests.read_records import delivery, message

EVENTS = CATALOGUE["delivery"].name
KEPT = (tables.positions, tables.freshness)
"""What the read model knows of itself."""


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> MemoryKafka:
    kafka = MemoryKafka()
    kafka.readers(monkeypatch, feed)
    return kafka


def store(kafka: MemoryKafka, *numbers: int) -> None:
    kafka.store("delivery", *(delivery(number, START) for number in numbers))


def a_model(engine: Engine, tmp_path: Path) -> ReadModel:
    days: dict[str, Any] = {"TRACKLY_READ_MODEL_DAYS": 100_000}  # the records are of 2024
    return ReadModel(ReadModelSettings(bootstrap_servers="unused:9092", data_dir=tmp_path, **days), engine, CODEC)


def when_read(model: ReadModel, count: int) -> Callable[[], bool]:
    """Return a condition: this many events were read, and one more poll found nothing."""
    looks = iter(range(1_000))
    return lambda: (model.read["delivery"] >= count and model.freshness.caught_up_at is not None) or next(looks) > 500


def events_in(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(tables.events)).scalar_one()


async def follow(model: ReadModel, count: int) -> None:
    """Let a model read this many events. On PostgreSQL, the writer's lock ends a moment after its owner."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await model.follow(when_read(model, count))
            except AnotherWrites:
                await asyncio.sleep(0.02)


async def test_what_was_written_is_not_written_again_by_the_next_one(
    kafka: MemoryKafka, database: Engine, tmp_path: Path
) -> None:
    store(kafka, 1, 2, 3)
    first = a_model(database, tmp_path)
    await follow(first, 3)
    store(kafka, 4)
    second = a_model(database, tmp_path)
    await follow(second, 1)
    assert (first.read["delivery"], second.read["delivery"], events_in(database)) == (3, 1, 4)
    with database.connect() as connection:
        assert positions_in(connection)[EVENTS, 0] == ("first", 4)


async def test_it_says_up_to_when_it_tells_everything(kafka: MemoryKafka, database: Engine, tmp_path: Path) -> None:
    store(kafka, 1)
    model = a_model(database, tmp_path)
    await follow(model, 1)
    assert (model.problem, model.freshness.lag, 0 <= model.age < 60) == (None, 0, True)
    with database.connect() as connection:
        found = freshness_of(connection)
    assert found is not None
    assert found.caught_up_at == model.freshness.caught_up_at


async def test_a_record_that_cannot_be_decoded_costs_nothing_but_itself(
    kafka: MemoryKafka, database: Engine, tmp_path: Path
) -> None:
    store(kafka, 1, 2)
    log = kafka.logs[EVENTS, 0]
    log[0] = log[0]._replace(value=b"no record")
    model = a_model(database, tmp_path)
    await follow(model, 2)
    assert (model.passed_over, events_in(database)) == ({"delivery": 1}, 1)


async def test_arguments_are_tags_that_the_setting_names(
    kafka: MemoryKafka, database: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKLY_TAG_ARGUMENTS", "campaign,flow")
    kafka.store("messages", message(1, START, unique_args={"campaign": "spring", "flow": "7", "tag": "x"}))
    store(kafka, 1)
    await follow(a_model(database, tmp_path), 1)
    with database.connect() as connection:
        found = connection.execute(select(tables.message_tags.c.name, tables.message_tags.c.value)).all()
    assert sorted(map(tuple, found)) == [("campaign", "spring"), ("flow", "7")]


async def test_there_is_one_writer(kafka: MemoryKafka, database: Engine, tmp_path: Path) -> None:
    store(kafka, 1)
    with writing(database), pytest.raises(AnotherWrites):
        await a_model(database, tmp_path).follow(lambda: False)
    assert events_in(database) == 0


async def test_a_topic_that_was_made_anew_is_read_from_its_beginning_once_it_is_accepted(
    kafka: MemoryKafka, database: Engine, tmp_path: Path
) -> None:
    store(kafka, 1, 2)
    first = a_model(database, tmp_path)
    await follow(first, 2)
    kafka.logs[EVENTS, 0].clear()
    kafka.ids[EVENTS] = "second"
    store(kafka, 3)
    second = a_model(database, tmp_path)
    with pytest.raises(TopicMadeAnew, match="trackly read-model accept"):
        await follow(second, 1)
    assert events_in(database) == 2
    with database.begin() as connection:
        forget_position(connection, EVENTS)
    await follow(second, 1)
    assert (second.read["delivery"], events_in(database)) == (1, 3)


def test_a_topic_with_another_id_was_recreated() -> None:
    stored = {("same", 0): ("a", 7), ("new", 0): ("b", 7), ("new", 1): ("b", 7), ("gone", 0): ("c", 7)}
    assert recreated(stored, {"same": Identity("a", 1), "new": Identity("d", 2), "unread": Identity("e", 1)}) == ["new"]


async def run_until(model: ReadModel, condition: Callable[[], bool]) -> None:
    """Run a model until a condition holds, for a minute at most."""
    stop = asyncio.Event()
    running = asyncio.create_task(model.run(stop))
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)
    stop.set()
    await running


async def test_a_database_that_is_emptied_while_it_is_written_is_filled_from_the_beginning(
    kafka: MemoryKafka, database: Engine, tmp_path: Path
) -> None:
    store(kafka, 1, 2, 3)
    steps = iter(["empty", "look"])
    step = next(steps)

    def is_filled_again() -> bool:
        nonlocal step
        if step == "empty" and model.freshness.caught_up_at is not None and events_in(database) == 3:
            try:
                with database.begin() as connection:
                    empty(connection)
            except OperationalError:  # both locked what the other one wants
                return False
            store(kafka, 4)
            step = next(steps)
        return step == "look" and events_in(database) == 4

    model = a_model(database, tmp_path)
    await run_until(model, is_filled_again)
    assert model.read["delivery"] == 3 + 4


Kept = list[tuple[Table, list[dict[str, Any]]]]


def kept_in(database: Engine) -> Kept:
    with database.connect() as connection:
        return [(table, [dict(row) for row in connection.execute(select(table)).mappings()]) for table in KEPT]


def restore(database: Engine, kept: Kept) -> None:
    """Restore the state in which there was one event."""
    with database.begin() as connection:
        connection.execute(delete(tables.events).where(tables.events.c.message_id != "m-1"))
        for table, rows in kept:
            connection.execute(delete(table))
            connection.execute(insert(table), rows)


async def test_a_database_that_is_restored_while_it_is_written_lacks_nothing(
    kafka: MemoryKafka, database: Engine, tmp_path: Path
) -> None:
    store(kafka, 1)
    await follow(a_model(database, tmp_path), 1)
    kept = kept_in(database)
    store(kafka, 2, 3)
    is_restored = False

    def is_filled_again() -> bool:
        nonlocal is_restored
        if not is_restored and events_in(database) == 3:
            restore(database, kept)
            store(kafka, 4)
            is_restored = True
        return is_restored and events_in(database) == 4

    await run_until(a_model(database, tmp_path), is_filled_again)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_restore_that_ends_while_a_batch_is_written_takes_nothing_away(
    kafka: MemoryKafka, database: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite lets nobody write beside the batch."""
    store(kafka, 1)
    await follow(a_model(database, tmp_path), 1)
    kept = kept_in(database)
    store(kafka, 2, 3)
    await follow(a_model(database, tmp_path), 2)
    backups = iter([kept])

    def write_beside_a_restore(connection: Connection, changes: Sequence[Change]) -> None:
        for backup in backups:
            restore(database, backup)
        writer.write(connection, changes)

    monkeypatch.setattr(service, "write", write_beside_a_restore)
    store(kafka, 4)
    await run_until(a_model(database, tmp_path), lambda: events_in(database) == 4)


async def test_a_file_that_replaces_that_of_the_database_is_written_from_where_it_is(
    kafka: MemoryKafka, tmp_path: Path
) -> None:
    """As when a backup of SQLite's file is moved to its place under running services."""
    with disposing(open_engine(f"sqlite:///{tmp_path / 'console.db'}")) as engine:
        migrate(engine)
        store(kafka, 1)
        await follow(a_model(engine, tmp_path), 1)
        with engine.connect() as connection:
            connection.rollback()
            connection.connection.driver_connection.execute(f"VACUUM INTO '{tmp_path / 'old.db'}'")  # type: ignore[union-attr]
        store(kafka, 2, 3)
        is_replaced = False

        def is_filled_again() -> bool:
            nonlocal is_replaced
            if not is_replaced and events_in(engine) == 3:
                for end in ("-wal", "-shm"):
                    (tmp_path / f"console.db{end}").unlink()
                (tmp_path / "old.db").replace(tmp_path / "console.db")
                store(kafka, 4)
                is_replaced = True
            return is_replaced and events_in(engine) == 4

        await run_until(a_model(engine, tmp_path), is_filled_again)
    with disposing(open_engine(f"sqlite:///{tmp_path / 'console.db'}")) as engine:
        assert events_in(engine) == 4


async def test_an_older_build_that_misses_a_column_writes_nothing_and_the_newer_one_lacks_nothing(
    kafka: MemoryKafka, database: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a build of revision 0012 does beside a newer one, which has dropped its `messages.tag`."""
    kafka.store("messages", message(1, START, unique_args={"tag": "spring"}))
    store(kafka, 1)
    known_before = tables.messages.to_metadata(MetaData())
    known_before.append_column(Column("tag", Text))
    older = a_model(database, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(writer, "messages", known_before)
        await run_until(older, lambda: "the database failed" in str(older.problem))
    with database.connect() as connection:
        assert positions_in(connection) == {}
    assert (events_in(database), older.passed_over.total()) == (0, 0)

    await follow(a_model(database, tmp_path), 1)
    with database.connect() as connection:
        assert connection.execute(select(tables.message_tags.c.value)).scalars().all() == ["spring"]
    assert events_in(database) == 1


async def test_a_file_that_is_gone_is_said_and_not_made_anew_in_silence(kafka: MemoryKafka, tmp_path: Path) -> None:
    with disposing(open_engine(f"sqlite:///{tmp_path / 'console.db'}")) as engine:
        migrate(engine)
        store(kafka, 1)
        model = a_model(engine, tmp_path)
        is_removed = False

        def is_said() -> bool:
            nonlocal is_removed
            if not is_removed and model.read["delivery"] == 1:
                for end in ("", "-wal", "-shm"):
                    (tmp_path / f"console.db{end}").unlink()
                is_removed = True
            return "was removed" in (model.health() or "")

        await run_until(model, is_said)
        with pytest.raises(DatabaseFileGone, match="put it back"):
            engine.connect()
    assert not (tmp_path / "console.db").exists()


async def test_it_is_not_ready_while_the_database_does_not_answer(
    kafka: MemoryKafka, database: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "SILENT_SECONDS", 0.3)
    model = a_model(database, tmp_path)
    stop = asyncio.Event()
    running = asyncio.create_task(model.run(stop))

    async def until_health(says: str | None) -> None:
        async with asyncio.timeout(30):
            while (found := model.health()) != says and (says is None or says not in (found or "")):
                await asyncio.sleep(0.02)

    await until_health(None)
    with database.begin() as another:
        another.execute(delete(tables.freshness))
        await until_health("the database has not answered for")
        another.rollback()
    await until_health(None)
    stop.set()
    await running
