"""`trackly ingest`, `streams`, `sinks`, `console`, `broker`: one service in the foreground."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Annotated, TypeVar

import typer

from bus.admin import Admin
from bus.run import configure_logging, run_worker
from bus.settings import ADDRESSES, BusSettings
from trackly.errors import Failed, check_topics
from trackly.http import run_http
from trackly.output import say, show

S = TypeVar("S", bound=BusSettings)


def ingest() -> None:
    """Take provider callbacks over HTTP and write them to Kafka, until Ctrl-C or SIGTERM."""
    from ingest.app import server
    from ingest.settings import IngestSettings

    run_http("ingest", server(_prepare("ingest", IngestSettings)))


def streams() -> None:
    """Turn callbacks into events and keep the state of contacts, until Ctrl-C or SIGTERM."""
    from streams.app import create_app
    from streams.settings import StreamsSettings

    raise typer.Exit(run_worker(create_app(_prepare("streams", StreamsSettings))))


def sinks() -> None:
    """Deliver webhooks, with retries, until Ctrl-C or SIGTERM."""
    from sinks.app import create_app
    from sinks.settings import SinksSettings

    raise typer.Exit(run_worker(create_app(_prepare("sinks", SinksSettings))))


def console() -> None:
    """Serve the API for senders and operators, until Ctrl-C or SIGTERM."""
    from console.app import server
    from console.settings import ConsoleSettings

    run_http("console", server(_prepare("console", ConsoleSettings)))


def broker(
    port: Annotated[int | None, typer.Option(help="Port to listen on; else the last one, or a free one.")] = None,
) -> None:
    """Run an Apache Kafka for development on this machine, until Ctrl-C or SIGTERM.

    Its records lie in TRACKLY_DATA_DIR, and commands with the same TRACKLY_DATA_DIR find it there.
    """
    from bus.embedded import EmbeddedKafka

    settings = BusSettings()
    if os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        say("KAFKA_BOOTSTRAP_SERVERS is set: other commands use that broker, not this one.")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    kafka = EmbeddedKafka(settings.data_dir / "kafka", port)
    addresses = settings.data_dir / ADDRESSES
    servers = kafka.start(progress=say)
    try:
        addresses.write_text(json.dumps({"bootstrap_servers": servers}) + "\n", "utf-8")
        show(servers)
        while kafka.is_alive():
            time.sleep(0.5)
        raise Failed(f"the broker died; {kafka.log_path} says why.")
    except KeyboardInterrupt:
        say("stopping")
    finally:
        addresses.unlink(missing_ok=True)
        kafka.stop()


def _prepare(service: str, settings_class: type[S]) -> S:
    settings = settings_class()
    configure_logging()
    with Admin(settings) as admin:
        existing = set(admin.list_topics())
    check_topics((t.name for t in settings.catalogue.values() if service in (*t.written_by, *t.read_by)), existing)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    return settings
