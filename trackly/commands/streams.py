"""`trackly streams`: the service in the foreground."""

from __future__ import annotations

import typer

from trackly.importing import importing
from trackly.starting import prepare


def streams() -> None:
    """Turn callbacks into events and keep the state of contacts, until Ctrl-C or SIGTERM."""
    with importing():
        from bus.worker.run import run_worker
        from streams.app import create_app
        from streams.settings import StreamsSettings

    raise typer.Exit(run_worker(create_app(prepare("streams", StreamsSettings))))
