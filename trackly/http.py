"""Runs an HTTP server in the foreground."""

from __future__ import annotations

import signal
from contextlib import suppress
from types import FrameType

from bus.ending import CRASH_SECONDS, STOP_SECONDS, be_a_service, end_within
from inbound.server import CannotListen, HttpServer
from trackly.errors import Failed
from trackly.output import say

_ADDRESSES = {"registry": "--host and --port"}


def run_http(name: str, http: HttpServer) -> None:
    """Serve until Ctrl-C or SIGTERM, then end cleanly. Raises Failed if the server cannot start, or else the error that
    ended it.
    """
    be_a_service()
    for number in (signal.SIGINT, signal.SIGTERM):
        # uvicorn stops cleanly, then raises the signal again for the previous handler.
        signal.signal(number, lambda *_: setattr(http, "should_exit", True))
    handle = http.handle_exit

    def handle_exit(number: int, frame: FrameType | None) -> None:
        end_within(STOP_SECONDS, f"told to stop by {signal.Signals(number).name}")
        handle(number, frame)

    http.handle_exit = handle_exit  # type: ignore[method-assign, assignment]
    say(f"starting {name} on http://{http.config.host}:{http.config.port}")
    # uvicorn exits with its own code if it cannot start, after logging the reason.
    try:
        with suppress(SystemExit):
            http.run()
    finally:
        # A thread that does not end, such as one waiting for a broker, would keep the process alive.
        end_within(CRASH_SECONDS, f"{name} stopped")
    raise_failure(name, http)


def raise_failure(name: str, http: HttpServer) -> None:
    """Raise the error that kept a server from starting or ended it, or Failed; nothing if it was told to stop."""
    if isinstance(http.failure, CannotListen):
        where = _ADDRESSES.get(name, f"TRACKLY_{name.upper()}_HOST and TRACKLY_{name.upper()}_PORT")
        raise Failed(
            f"{name} cannot listen on {http.config.host}:{http.config.port}: {http.failure}. Choose an address of this "
            f"machine and a free port with {where}."
        )
    if http.failure is not None:
        raise http.failure
    if not http.started:
        raise Failed(f"{name} could not start; the reason is above.")
