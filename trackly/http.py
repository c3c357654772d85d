"""Runs an HTTP server in the foreground."""

from __future__ import annotations

import signal
from contextlib import suppress

import uvicorn

from trackly.errors import Failed
from trackly.output import say


def run_http(name: str, http: uvicorn.Server) -> None:
    """Serve until Ctrl-C or SIGTERM, then end cleanly. Raises Failed when the server cannot start."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # uvicorn stops cleanly, then raises the signal again for whoever handled it before.
        signal.signal(number, lambda *_: setattr(http, "should_exit", True))
    say(f"starting {name} on http://{http.config.host}:{http.config.port}")
    # uvicorn exits with a code of its own when it cannot start, after it has logged why.
    with suppress(SystemExit):
        http.run()
    if not http.started:
        raise Failed(f"{name} could not start; the reason stands above.")
