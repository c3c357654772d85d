"""`trackly read-model`: the service that fills the console's database, and what it has read."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from typing import Any

import typer
from sqlalchemy.exc import SQLAlchemyError

from bus.admin import Admin, TopicLog
from bus.health import Health, HealthServer
from bus.run import configure_logging
from database.engine import DatabaseUrlError, open_engine
from database.migrating import migrate
from database.read_state import empty, freshness_of, positions_in
from database.writer_lock import AnotherWrites, writing
from schemas.codec import Codec
from schemas.registry import registry_for
from sinks.clock import SystemClock
from sinks.read_model import ReadModel
from sinks.read_rows import RULES
from sinks.read_settings import ReadModelSettings
from trackly.decoding import time_text
from trackly.errors import Failed, check_topics
from trackly.output import Json, Yes, confirm, json_line, say, show, table

TELL_EVERY = 2.0
"""Seconds between two lines about a rebuild."""

read_model = typer.Typer(add_completion=False, invoke_without_command=True)


@read_model.callback()
def run(context: typer.Context) -> None:
    """Copy what goes through Kafka into the console's database, until Ctrl-C or SIGTERM.

    One process writes; a second one stands by and takes over. It begins where the last one ended.
    """
    if context.invoked_subcommand is not None:
        return
    configure_logging()
    settings = _settings()
    asyncio.run(_run(settings))
    raise typer.Exit(0)


@read_model.command()
def rebuild(yes: Yes = False, as_json: Json = False) -> None:
    """Empty the read model and read everything that Kafka still has. Users and sessions stay.

    What Kafka keeps no longer is gone afterwards: deliveries of more than 30 days ago, receipts of more than 2. The
    service must not run meanwhile; when it starts again, it goes on where this ended.
    """
    settings = _settings()
    if not yes:
        confirm("Empty the read model, and read it from Kafka again?")
    try:
        records = asyncio.run(_rebuild(settings))
    except AnotherWrites as error:
        raise Failed(f"{error}: stop `trackly read-model` first.") from None
    except SQLAlchemyError as error:
        raise Failed(f"The database does not answer: {type(error).__name__}.") from None
    if as_json:
        json_line({"records": records})
    else:
        say(f"{records:,} records were read; the read model is complete.")


@read_model.command()
def status(as_json: Json = False) -> None:
    """Up to when the read model is complete, and what it has still to read of each topic."""
    settings = _settings()
    engine = open_engine(settings.database, read_only=True)
    try:
        with engine.connect() as connection:
            fresh, stored = freshness_of(connection), positions_in(connection)
    except SQLAlchemyError as error:
        raise Failed(f"The database does not answer: {type(error).__name__}. Has `trackly read-model` run?") from None
    with Admin(settings) as admin:
        logs = admin.logs(settings.catalogue[name].name for name in RULES)
    lag = {
        name: sum(
            max(0, end - stored.get((name, part), ("", found.begins[part]))[1]) for part, end in found.ends.items()
        )
        for name, found in sorted(logs.items())
    }
    at = None if fresh is None or fresh.caught_up_at is None else time_text(fresh.caught_up_at)
    if as_json:
        json_line({"complete_up_to": at, "lag": sum(lag.values()), "topics": lag})
        return
    show(f"complete up to {at or 'no time yet'}; {sum(lag.values()):,} records still to read")
    table(("topic", "still to read"), ((name, f"{count:,}") for name, count in lag.items()))


def _left(name: str, found: TopicLog, stored: Mapping[tuple[str, int], tuple[str, int]]) -> int:
    at = {partition: stored.get((name, partition), ("", begin))[1] for partition, begin in found.begins.items()}
    return sum(max(0, end - at[partition]) for partition, end in found.ends.items())


def _settings() -> ReadModelSettings:
    settings = ReadModelSettings()
    with Admin(settings) as admin:
        existing = set(admin.list_topics())
    check_topics((settings.catalogue[name].name for name in RULES), existing)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    try:
        open_engine(settings.database).dispose()
    except DatabaseUrlError as error:
        raise Failed(f"{error}.") from None
    return settings


def _service(settings: ReadModelSettings) -> tuple[ReadModel, Health]:
    health = Health("read_model")
    return ReadModel(settings, Codec(registry_for(settings.schema_registry_url)), SystemClock(), health), health


async def _run(settings: ReadModelSettings) -> None:
    service, health = _service(settings)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, service.stop.set)
    server = HealthServer(health, settings.host, settings.port)
    await server.start()
    health.ready = True
    try:
        await service.run()
    finally:
        await server.stop()


async def _rebuild(settings: ReadModelSettings) -> int:
    engine = open_engine(settings.database)
    try:
        migrate(engine)
        with writing(engine) as connection, connection.begin():
            empty(connection)
    finally:
        engine.dispose()
    service, _ = _service(settings)
    running: asyncio.Task[Any] = asyncio.create_task(service.run())
    progress = service.progress
    try:
        while progress.caught_up_at is None and not running.done():
            await asyncio.wait([running], timeout=TELL_EVERY)
            say(f"{progress.records:,} records read, {progress.lag:,} left")
    finally:
        service.stop.set()
        await running
    return progress.records
