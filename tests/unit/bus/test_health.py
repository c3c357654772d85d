"""`/readyz` and `/metrics` of every service: what strangers may read there, and what they may not."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import httpx
import orjson
import pytest
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.routing import Route

from bus.embedded.broker import free_port
from bus.environment import settings_error
from bus.health import Health
from bus.health_server import HealthServer
from bus.settings import BusSettings

TOKEN = "a-token-of-many-letters"


def health_of(token: str | None = TOKEN) -> Health:
    health = Health("streams", BusSettings(bootstrap_servers="localhost:1", metrics_token=token))
    health.gauge("lag_records", lambda: 7.0)
    return health


@pytest.fixture(params=["starlette", "aiohttp"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    """The endpoints of a service with its own web framework, and of one without."""
    health = health_of()
    if request.param == "starlette":
        transport = httpx.ASGITransport(Starlette(routes=[Route("/metrics", health.metrics)]))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as found:
            yield found
        return
    port = free_port()
    server = HealthServer(health, "127.0.0.1", port)
    await server.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as found:
        yield found
    await server.stop()


async def test_a_port_that_is_taken_is_told_with_its_settings() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = HealthServer(health_of(), "127.0.0.1", taken.getsockname()[1])
        with pytest.raises(OSError, match=r"cannot listen: .* with TRACKLY_STREAMS_HOST, .* with TRACKLY_STREAMS_PORT"):
            await server.start()
        await server.stop()


@pytest.mark.parametrize("given", [None, "Bearer wrong", f"Basic {TOKEN}", TOKEN, "é"])
async def test_metrics_are_for_those_who_have_the_token(client: httpx.AsyncClient, given: str | None) -> None:
    headers = {} if given is None else {"Authorization": given.encode()}
    answer = await client.get("/metrics", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "lag_records" not in answer.text
    assert "TRACKLY_" not in answer.text


async def test_the_token_opens_them(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert "trackly_streams_lag_records 7.0" in answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")


def test_without_a_token_in_the_settings_anybody_may_read_them() -> None:
    assert health_of(None).measured(None)[0] == 200


def test_a_token_that_can_be_guessed_is_none() -> None:
    with pytest.raises(ValidationError) as caught:
        BusSettings(metrics_token="short")
    told = settings_error(caught.value)
    assert told.startswith("TRACKLY_METRICS_TOKEN: ")
    assert "16 characters" in told
    assert "short" not in told.replace("shorter", "")


@pytest.mark.parametrize(
    ("problem", "shown"),
    [
        ("set TRACKLY_PSEUDONYM_KEY here", "set (a setting) here"),
        ("Check KAFKA_BOOTSTRAP_SERVERS.", "Check (a setting)."),
        ("IO error: /var/lib/trackly/console/x.sst: full", "IO error: (a file): full"),
        ("data/console/default/contacts is damaged", "(a file) is damaged"),
        ("reading sms.contacts: 7 of 9 records left", "reading sms.contacts: 7 of 9 records left"),
        ("stuck at sms.raw/3/17", "stuck at sms.raw/3/17"),
    ],
)
def test_readyz_names_no_setting_and_no_file(problem: str, shown: str) -> None:
    health = health_of()
    health.ready = True
    health.checks.append(lambda: problem)
    assert orjson.loads(health.readiness()[1])["problems"] == [shown]
    assert health.problems() == [problem]
