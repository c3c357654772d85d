"""The HTTP server of every service, with the same protocol, limits, and no banner."""

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
"""Telemetry options for every FastAPI app. By default FastAPI puts paths and queries, which hold secrets here, into
spans as soon as the process or the environment sets a global provider."""


class Door(uvicorn.Server):
    """A server that its application can stop; `failure` says why."""

    failure: Exception | None = None

    def fail(self, failure: Exception) -> None:
        """Stop soon, as after SIGTERM."""
        self.failure = failure
        self.should_exit = True


def door(app: ASGIApp, host: str, port: int, limits: Limits, protocol: type[BoundedProtocol] = BoundedProtocol) -> Door:
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
    return Door(config)
