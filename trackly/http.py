"""Runs an HTTP server in the foreground."""

from __future__ import annotations

import signal
from contextlib import suppress
from types import FrameType

from bus.ending import CRASH_SECONDS, STOP_SECONDS, be_a_service, end_within
from inbound.server import Door
from trackly.errors import Failed
from trackly.output import say


def run_http(name: str, http: Door) -> None:
    """Serve until Ctrl-C or SIGTERM, then end cleanly. Raises Failed when the server cannot start, and what ended it
    otherwise.
    """
    be_a_service()
    for number in (signal.SIGINT, signal.SIGTERM):
        # uvicorn stops cleanly, then raises the signal again for whoever handled it before.
        signal.signal(number, lambda *_: setattr(http, "should_exit", True))
    handle = http.handle_exit

    def handle_exit(number: int, frame: FrameType | None) -> None:
        end_within(STOP_SECONDS, f"told to stop by {signal.Signals(number).name}")
        handle(number, frame)

    http.handle_exit = handle_exit  # type: ignore[method-assign, assignment]
    say(f"starting {name} on http://{http.config.host}:{http.config.port}")
    # uvicorn exits with a code of its own when it cannot start, after it has logged why.
    try:
        with suppress(SystemExit):
            http.run()
    finally:
        # A thread that does not end, such as one that asks a broker, would keep the process.
        end_within(CRASH_SECONDS, f"{name} stopped")
    if not http.started:
        raise Failed(f"{name} could not start; the reason is above.")
    if http.failure is not None:
        raise http.failure
