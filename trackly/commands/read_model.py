"""`trackly read-model`: the service that writes the console's database; its progress; rebuilds."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import typer
import uvloop
from sqlalchemy import Engine

from bus.admin import Admin
from bus.ending import CRASH_SECONDS, STOP_SECONDS, be_a_service, end_within
from bus.garbage import collect_by_plan
from bus.health import Health
from bus.health_server import HealthServer
from bus.layout import check_partitions
from bus.settings import BusSettings
from bus.vitals import Vitals
from database.engine import SharedSession, disposing, open_engine
from database.migrating import is_migrated, migrate
from database.read_state import empty, forget_position, forget_versions, freshness_of, positions_in, recreated
from database.settings import DatabaseSettings
from database.writer_lock import AnotherWrites, writing
from readmodel.rows import RULES
from readmodel.service import ReadModel
from readmodel.settings import ReadModelSettings
from schemas.cloudevents import iso_time
from schemas.codec import Codec
from schemas.registry import registry_for
from trackly.errors import Failed, check_topics
from trackly.output import Json, Yes, confirm, json_line, say, show, table
from trackly.progress import Progress
from trackly.starting import tell

read_model = typer.Typer(help="Write the console's database.", invoke_without_command=True)

STOP = "stop `trackly read-model` first, or `trackly up`, and run `trackly broker` meanwhile"

WARNING = (
    "Delete the whole read model and read it from Kafka again? Whatever Kafka no longer keeps (receipts and attempts "
    "after 7 days, events after 30) will be gone, along with its hourly counts."
)


@read_model.callback()
def run(context: typer.Context) -> None:
    """Copy records from Kafka into the database that the console shows, until Ctrl-C or SIGTERM.

    If several processes run, one writes and the others are on standby. While Kafka or the database fails, it waits.
    """
    if context.invoked_subcommand is not None:
        return
    with _prepared() as (settings, engine):
        tell("read_model", settings)
        uvloop.run(_serve(settings, ReadModel(settings, engine, Codec(registry_for(settings.schema_registry_url)))))
    raise typer.Exit(0)


@read_model.command()
def rebuild(yes: Yes = False, as_json: Json = False) -> None:
    """Empty the read model, including its positions, and read everything from Kafka again. The service must not run."""
    with _prepared() as (settings, engine):
        if not yes:
            confirm(WARNING)
        try:
            with writing(engine) as connection, connection.begin():
                empty(connection)
            model = ReadModel(settings, engine, Codec(registry_for(settings.schema_registry_url)))
            uvloop.run(_catch_up(settings, model))
        except AnotherWrites as error:
            raise Failed(f"{error}: {STOP}.") from None
        except SharedSession as error:
            raise Failed(f"{error}.") from None
    if as_json:
        json_line({"read": dict(model.read), "passed_over": dict(model.passed_over)})
    else:
        say(f"{model.read.total():,} records are in the read model.")
    if model.passed_over:
        raise Failed(f"{model.passed_over.total():,} records could not be read; the log lists the first ones.")


@read_model.command("migrate")
def migrate_tables() -> None:
    """Create this version's tables in the database, or migrate those of an older version. Needs no broker.

    Every service does this when it starts. Before you upgrade several, run it once.
    """
    with disposing(open_engine(DatabaseSettings().database)) as engine:
        migrate(engine)
    say("The database has the tables of this version.")


@read_model.command()
def accept(yes: Yes = False) -> None:
    """Read recreated topics from their beginning, next to the existing rows. The service then continues.

    Records that the read model identifies by their position on a topic (rejected payloads, audit entries) may replace
    older ones.
    """
    with _prepared() as (settings, engine):
        with Admin(settings) as admin:
            now = admin.identities(settings.catalogue[key].name for key in RULES)
        with engine.connect() as connection:
            anew = recreated(positions_in(connection), now)
        if not anew:
            say("No topic was recreated.")
            return
        if not yes:
            confirm(f"Read {', '.join(anew)} from the beginning, next to the existing rows?")
        try:
            with writing(engine) as connection, connection.begin():
                for topic in anew:
                    forget_position(connection, topic)
                if settings.catalogue["contacts"].name in anew:
                    forget_versions(connection)
        except AnotherWrites as error:
            raise Failed(f"{error}: {STOP}.") from None
        except SharedSession as error:
            raise Failed(f"{error}.") from None
    say(f"{', '.join(anew)}: will be read from the beginning.")


@read_model.command()
def status(as_json: Json = False) -> None:
    """Show the time up to which the read model is complete, and how many records of each topic it lacks."""
    settings = DatabaseSettings()
    with disposing(open_engine(settings.database, read_only=True)) as engine:
        if not is_migrated(engine):
            raise Failed(
                "The database has no read model of this version: start `trackly read-model`, which creates it."
            )
        with engine.connect() as connection:
            stored, fresh = positions_in(connection), freshness_of(connection)
    lag = _lag(settings, {partition: offset for partition, (_, offset) in stored.items()})
    complete = None if fresh is None or fresh.caught_up_at is None else iso_time(fresh.caught_up_at)
    told = None if fresh is None else iso_time(fresh.told_at)
    lost = 0 if fresh is None else fresh.lost
    if as_json:
        json_line({"complete_until": complete, "written_at": told, "lag": dict(lag), "lost": lost})
        return
    show(f"complete until {complete or 'never yet'}, last written {told or 'never'}")
    if lost:
        show(f"{lost:,} records are missing for good: Kafka deleted them before they were read.")
        show("`trackly read-model rebuild` rebuilds the tables from what Kafka still has.")
    table(("topic", "lag"), ((topic, str(count)) for topic, count in lag.items()))


@contextmanager
def _prepared() -> Iterator[tuple[ReadModelSettings, Engine]]:
    """Yield the settings, and a database with this version's tables."""
    settings = ReadModelSettings()
    with Admin(settings) as admin:
        existing = admin.identities(topic.name for topic in settings.catalogue.values())
    check_topics((settings.catalogue[key].name for key in RULES), existing)
    check_partitions(settings.catalogue, existing)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with disposing(open_engine(settings.database)) as engine:
        migrate(engine)
        yield settings, engine


def export(health: Health, model: ReadModel) -> None:
    """Make `/readyz` and `/metrics` report the read model's progress."""
    health.checks.append(model.health)
    health.progress.append(model.read.total)
    health.gauge("lag_records", lambda: model.freshness.lag)
    health.gauge("lost_records", lambda: model.freshness.lost)
    health.gauge("age_seconds", lambda: model.age)
    health.gauge("writing", lambda: float(model.is_writing))
    health.gauge("records", lambda: float(model.read.total()))
    health.gauge("passed_over", model.passed_over.total)


async def _serve(settings: ReadModelSettings, model: ReadModel) -> None:
    be_a_service()
    stop = asyncio.Event()

    def told(name: str) -> None:
        end_within(STOP_SECONDS, f"told to stop by {name}")
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told, number.name)
    health = Health("read_model", settings)
    export(health, model)
    vitals = Vitals(health)
    server = HealthServer(health, settings.host, settings.port)
    await server.start()
    collect_by_plan()
    vitals.start()
    health.ready = True
    try:
        await model.run(stop)
    finally:
        health.ready = False
        end_within(CRASH_SECONDS, "stopping")
        vitals.stop()
        await server.stop()


async def _catch_up(settings: BusSettings, model: ReadModel) -> None:
    """Read until everything that exists by now is stored."""
    total = _lag(settings, {}).total()
    progress = Progress("records", total)

    def is_done() -> bool:
        progress.tell(model.read.total())
        return model.freshness.caught_up_at is not None

    await model.follow(is_done)
    progress.end()


def _lag(settings: BusSettings, positions: dict[tuple[str, int], int]) -> Counter[str]:
    """Return unread records by topic; all of them if no position is known."""
    with Admin(settings) as admin:
        logs = admin.logs(settings.catalogue[key].name for key in RULES)
    lag: Counter[str] = Counter()
    for name, topic in logs.items():
        for number, end in topic.ends.items():
            begin = topic.begins[number]
            lag[name] += max(0, end - max(begin, positions.get((name, number), begin)))
    return lag
