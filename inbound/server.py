"""The HTTP server of every service, with the same protocol, limits, and no banner."""

from __future__ import annotations

import socket
import sys
from typing import Any

import uvicorn
from fastapi.telemetry import TelemetryConfig
from starlette.types import ASGIApp
from uvicorn.lifespan.on import LifespanOn

from inbound.protocol import BoundedProtocol, Limits, bounded

NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""Telemetry options for every FastAPI app. By default FastAPI puts paths and queries, which hold secrets here, into
spans as soon as the process or the environment sets a global provider."""


class CannotListen(Exception):
    """The server cannot listen on its address; the text says why."""


class HttpServer(uvicorn.Server):
    """A server that its application can stop; `failure` says why, or why it could not start."""

    failure: BaseException | None = None

    def fail(self, failure: Exception) -> None:
        """Stop soon, as after SIGTERM."""
        self.failure = failure
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then listen. Raises SystemExit if either is impossible."""
        self.lifespan = _Lifespan(self)
        try:
            await super().startup(sockets)
        except SystemExit as exit:
            if isinstance(exit.__context__, OSError) and self.failure is None:
                self.failure = CannotListen(str(exit.__context__))
            raise


class _Lifespan(LifespanOn):
    """Keeps the error for which the application cannot start, so that a person can be told in a sentence: uvicorn would
    log it as text with a traceback, which may contain a database's address and password."""

    def __init__(self, server: HttpServer) -> None:
        super().__init__(server.config)
        self._server = server

    async def send(self, message: Any) -> None:
        if message["type"] == "lifespan.startup.failed":
            # Starlette sends this where it handles the error.
            self._server.failure = sys.exc_info()[1]
            message = {"type": message["type"]}
        await super().send(message)


def http_server(
    app: ASGIApp, host: str, port: int, limits: Limits, protocol: type[BoundedProtocol] = BoundedProtocol
) -> HttpServer:
    """Return the server of an application, not yet started."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=bounded(limits, protocol),
        ws="none",
        access_log=False,  # access lines hold query strings and phone numbers
        server_header=False,
        date_header=False,
        log_config=None,
        proxy_headers=False,  # accounts.callers decides which proxies are trusted
        timeout_keep_alive=30,
        timeout_graceful_shutdown=10,
        backlog=4096,
    )
    return HttpServer(config)
