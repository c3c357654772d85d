"""`trackly read-model`: the service that writes the console's database; how far it is; everything anew."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter

import typer
from sqlalchemy import Engine

from bus.admin import Admin
from bus.health import Health, HealthServer
from bus.run import configure_logging
from bus.settings import BusSettings
from database.engine import open_engine
from database.migrating import is_migrated, migrate
from database.read_state import empty, freshness_of, positions_in
from database.settings import DatabaseSettings
from database.writer_lock import AnotherWrites, writing
from schemas.cloudevents import iso_time
from schemas.codec import Codec
from schemas.registry import registry_for
from sinks.read_model import ReadModel
from sinks.read_rows import RULES
from sinks.read_settings import ReadModelSettings
from trackly.errors import Failed, check_topics
from trackly.output import Json, Yes, confirm, json_line, say, show, table
from trackly.progress import Progress

read_model = typer.Typer(help="The service that writes the console's database.", invoke_without_command=True)

WARNING = (
    "Delete the whole read model and read it from Kafka again? What Kafka no longer keeps (receipts after 2 days,"
    " attempts after 7, events after 30) will be gone from it, and counts by the hour with them."
)


@read_model.callback()
def run(context: typer.Context) -> None:
    """Copy what goes through Kafka into the database that the console shows, until Ctrl-C or SIGTERM.

    Of several processes one writes, and the others wait to take over. Errors of Kafka and the database are waited out.
    """
    if context.invoked_subcommand is not None:
        return
    settings, engine = _prepare()
    configure_logging()
    asyncio.run(_serve(settings, ReadModel(settings, engine, Codec(registry_for(settings.schema_registry_url)))))
    raise typer.Exit(0)


@read_model.command()
def rebuild(yes: Yes = False, as_json: Json = False) -> None:
    """Empty the read model, positions too, and read everything from Kafka again. The service must not run."""
    settings, engine = _prepare()
    if not yes:
        confirm(WARNING)
    try:
        with writing(engine) as connection, connection.begin():
            empty(connection)
        model = ReadModel(settings, engine, Codec(registry_for(settings.schema_registry_url)))
        asyncio.run(_catch_up(settings, model))
    except AnotherWrites as error:
        raise Failed(f"{error}: stop `trackly read-model` first.") from None
    if as_json:
        json_line({"read": dict(model.read), "passed_over": dict(model.passed_over)})
    else:
        say(f"{model.read.total():,} records are in the read model.")
    if model.passed_over:
        raise Failed(f"{model.passed_over.total():,} records could not be read; the log says where the first ones are.")


@read_model.command()
def status(as_json: Json = False) -> None:
    """How far the read model is: the moment up to which it is complete, and the records of each topic it lacks."""
    settings = DatabaseSettings()
    engine = open_engine(settings.database, read_only=True)
    if not is_migrated(engine):
        raise Failed("The database has no read model of this version: start `trackly read-model`, which makes it.")
    with engine.connect() as connection:
        stored, fresh = positions_in(connection), freshness_of(connection)
    engine.dispose()
    lag = _lag(settings, {partition: offset for partition, (_, offset) in stored.items()})
    complete = None if fresh is None or fresh.caught_up_at is None else iso_time(fresh.caught_up_at)
    told = None if fresh is None else iso_time(fresh.told_at)
    if as_json:
        json_line({"complete_until": complete, "written_at": told, "lag": dict(lag)})
        return
    show(f"complete until {complete or 'never yet'}, last written {told or 'never'}")
    table(("topic", "lag"), ((topic, str(count)) for topic, count in lag.items()))


def _prepare() -> tuple[ReadModelSettings, Engine]:
    settings = ReadModelSettings()
    with Admin(settings) as admin:
        existing = set(admin.list_topics())
    check_topics((settings.catalogue[key].name for key in RULES), existing)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    engine = open_engine(settings.database)
    migrate(engine)
    return settings, engine


async def _serve(settings: ReadModelSettings, model: ReadModel) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    health = Health("read_model")
    health.checks.append(model.health)
    health.gauge("lag_records", "Records that are on Kafka and not in the read model.", lambda: model.freshness.lag)
    health.gauge("age_seconds", "Age of the moment up to which it is complete; -1 before the first.", lambda: model.age)
    health.gauge("writing", "1 in the process that writes, 0 in one that waits.", lambda: float(model.is_writing))
    health.gauge("records", "Records read since the start.", lambda: float(model.read.total()))
    health.gauge("passed_over", "Records that could not be read since the start.", model.passed_over.total)
    server = HealthServer(health, settings.host, settings.port)
    await server.start()
    health.ready = True
    try:
        await model.run(stop)
    finally:
        health.ready = False
        await server.stop()


async def _catch_up(settings: BusSettings, model: ReadModel) -> None:
    """Read until everything is in that is there now."""
    total = _lag(settings, {}).total()
    progress = Progress("records", total)

    def is_done() -> bool:
        progress.tell(model.read.total())
        return model.freshness.caught_up_at is not None

    await model.follow(is_done)
    progress.end()


def _lag(settings: BusSettings, positions: dict[tuple[str, int], int]) -> Counter[str]:
    """Records by topic that are not read, all where no position is known."""
    with Admin(settings) as admin:
        logs = admin.logs(settings.catalogue[key].name for key in RULES)
    lag: Counter[str] = Counter()
    for name, topic in logs.items():
        for number, end in topic.ends.items():
            begin = topic.begins[number]
            lag[name] += max(0, end - max(begin, positions.get((name, number), begin)))
    return lag
