"""`trackly registry`: our schemas over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from trackly.http import run_http
from trackly.starting import tell


def registry(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on.")] = 8082,
) -> None:
    """Serve the schemas like Confluent's Schema Registry, read-only, until Ctrl-C or SIGTERM.

    Point readers of the topics at it: schema.registry.url=http://HOST:8082. It needs no broker.
    """
    from inbound.server import http_server
    from inbound.settings import InboundSettings
    from registry.app import create_app

    settings = InboundSettings()
    tell("registry", settings)
    run_http("registry", http_server(create_app(settings.catalogue), host, port, settings.limits()))
