"""`trackly sinks`: the service in the foreground."""

from __future__ import annotations

import typer

from trackly.importing import importing
from trackly.starting import prepare


def sinks() -> None:
    """Deliver webhooks, with retries, until Ctrl-C or SIGTERM."""
    with importing():
        from bus.worker.run import run_worker
        from sinks.app import create_app
        from sinks.settings import SinksSettings

    raise typer.Exit(run_worker(create_app(prepare("sinks", SinksSettings))))
