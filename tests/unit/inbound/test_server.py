"""What every door has, whatever service is behind it."""

from __future__ import annotations

import asyncio
import http.client
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from sqlalchemy.exc import OperationalError
from starlette.applications import Starlette
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

import console.app
import ingest.app
import trackly.commands.registry
from console.settings import ConsoleSettings
from inbound.protocol import BoundedProtocol, Limits
from inbound.server import HttpServer, http_server
from ingest.settings import IngestSettings
from tests.http_servers import running
from trackly.errors import Failed, sentence
from trackly.http import raise_failure

NOWHERE: dict[str, Any] = {"bootstrap_servers": "localhost:1"}


def registry() -> uvicorn.Server:
    """What `trackly registry` runs."""
    started: list[uvicorn.Server] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trackly.commands.registry, "run_http", lambda _, server: started.append(server))
        trackly.commands.registry.registry("127.0.0.1", 0)
    return started[0]


@pytest.fixture(params=["ingest", "console", "registry"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> uvicorn.Server:
    match request.param:
        case "ingest":
            return ingest.app.server(IngestSettings(data_dir=tmp_path, **NOWHERE))
        case "console":
            return console.app.server(ConsoleSettings(data_dir=tmp_path, **NOWHERE))
        case _:
            return registry()


def test_the_callers_address_is_nobodys_to_write(server: uvicorn.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.config.load()
    layer: Any = server.config.loaded_app
    assert not isinstance(layer, ProxyHeadersMiddleware)


def test_its_connections_are_bounded(server: uvicorn.Server) -> None:
    server.config.load()
    assert issubclass(server.config.http_protocol_class, BoundedProtocol)
    assert server.config.http_protocol_class.limits.connections > 0
    assert not server.config.access_log
    assert server.config.ws == "none"


# What keeps it from starting


def started(app: Any, port: int = 0) -> HttpServer:
    """Return a server that was run."""
    http = http_server(app, "127.0.0.1", port, Limits())
    with suppress(SystemExit):
        asyncio.run(http.serve())
    return http


def test_why_the_application_cannot_start_is_kept_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    error = OperationalError("SELECT 1", {}, Exception("no database at db.example.com, password geheim"))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        raise error
        yield

    http = started(Starlette(lifespan=lifespan))
    assert http.failure is error
    assert "geheim" not in caplog.text
    with pytest.raises(OperationalError):
        raise_failure("console", http)
    assert "Check DATABASE_URL" in (sentence(error) or "")


def test_an_address_on_which_it_cannot_listen_is_told_with_its_settings() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        http = started(Starlette(), port)
    with pytest.raises(Failed) as caught:
        raise_failure("console", http)
    told = str(caught.value)
    assert told.startswith(f"console cannot listen on 127.0.0.1:{port}: ")
    assert told.endswith("with TRACKLY_CONSOLE_HOST and TRACKLY_CONSOLE_PORT.")


# The registry, over sockets


@pytest.fixture
def address() -> Iterator[str]:
    with running(registry()) as url:
        yield urlsplit(url).netloc


def test_the_registry_answers_a_request_that_asks_for_another_protocol(address: str) -> None:
    connection = http.client.HTTPConnection(address, timeout=5)
    upgrade = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP"}
    connection.request("POST", "/subjects/sms.receipts-value", body=b'{"schema": "\\"long\\""}', headers=upgrade)
    answer = connection.getresponse()
    assert (answer.status, b"40403" in answer.read()) == (404, True)
    connection.close()


def test_the_registry_bounds_heads(address: str) -> None:
    connection = http.client.HTTPConnection(address, timeout=5)
    connection.request("GET", "/subjects", headers={"X-Long": "x" * (70 << 10)})
    assert connection.getresponse().status == 431
    connection.close()
