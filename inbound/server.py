"""The HTTP server of every door, with the same protocol, bounds and silence about itself."""

from __future__ import annotations

import uvicorn
from fastapi.telemetry import TelemetryConfig
from starlette.types import ASGIApp

from inbound.protocol import BoundedProtocol, Limits, bounded

NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""For every FastAPI app. By itself it writes paths and queries into spans, which hold secrets here, as soon as
something in the process, or a variable of the environment, sets a global provider."""


class Door(uvicorn.Server):
    """A server that what it serves can end; `failure` says why."""

    failure: Exception | None = None

    def fail(self, failure: Exception) -> None:
        """End soon, as after SIGTERM."""
        self.failure = failure
        self.should_exit = True


def door(app: ASGIApp, host: str, port: int, limits: Limits, protocol: type[BoundedProtocol] = BoundedProtocol) -> Door:
    """The server of an application, not yet running."""
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
        proxy_headers=False,  # whose word counts is decided in accounts.callers, once
        timeout_keep_alive=30,
        timeout_graceful_shutdown=10,
        backlog=4096,
    )
    return Door(config)
