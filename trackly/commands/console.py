"""`trackly console`: the service in the foreground."""

from __future__ import annotations

from trackly.http import run_http
from trackly.importing import importing
from trackly.starting import prepare


def console() -> None:
    """Serve the console and the API for senders and operators, until Ctrl-C or SIGTERM."""
    with importing():
        from console.app import server
        from console.settings import ConsoleSettings

    run_http("console", server(prepare("console", ConsoleSettings)))
