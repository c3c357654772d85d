"""Ingest and the console as reached by strangers: requests for another protocol, compressed bodies, refusals."""

from __future__ import annotations

import asyncio
import gzip
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from schemas.records import AccountConfig, ListConfig, RawCallback
from tests.cluster import Cluster, running
from tests.outside.test_http_clients import CLIENTS
from tests.patience import PATIENCE, http

pytestmark = pytest.mark.broker

UPGRADE = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP\r\n"
CONFIGS = [AccountConfig(id="acme", name="Acme"), ListConfig(account="acme", number="+18005551234")]


@pytest.fixture(scope="module")
def cluster(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(broker, tmp_path_factory.mktemp("doors"), "doors", CONFIGS, "ingest", "console-1") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def key(cluster: Cluster) -> str:
    """Return a key that the console knows: new ones take a second."""
    key = asyncio.run(cluster.make_key("acme"))
    url, deadline = cluster.console("console-1") + "/api/contacts/check", time.monotonic() + PATIENCE
    while http.post(url, json={}, headers={"X-Api-Key": key}).status_code == 401:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return key


def callbacks_url(cluster: Cluster) -> str:
    return f"http://127.0.0.1:{cluster.ingest_port}/api/webhook-feedbacks/infobip?account=acme"


def sent(url: str, head: str, body: bytes) -> bytes:
    """Return the first line of the answer to a POST with these fields."""
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE) as connection:
        lines = (
            f"POST {target} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        )
        connection.sendall((lines + head + "\r\n").encode() + body)
        return connection.recv(65_536).partition(b"\r\n")[0]


def test_a_callback_that_asks_for_another_protocol_is_stored_whole(cluster: Cluster) -> None:
    assert sent(callbacks_url(cluster), UPGRADE, b'{"results": ["h2c"]}') == b"HTTP/1.1 200 OK"
    [callback] = cluster.wait_for("raw", RawCallback, "h2c")
    assert callback.body == b'{"results": ["h2c"]}'


def test_an_api_request_that_asks_for_another_protocol_is_answered(cluster: Cluster, key: str) -> None:
    body = json.dumps({"list_number": "+18005551234", "numbers": ["+15550001111"]}).encode()
    url = cluster.console("console-1") + "/api/contacts/check"
    # Without a streams process, it depends on the moment whether something is known; a body that was lost would be 422.
    assert sent(url, UPGRADE + f"X-Api-Key: {key}\r\n", body).split()[1] in (b"200", b"503")


def test_java_s_own_client_at_its_defaults_loses_no_callback(cluster: Cluster) -> None:
    java = shutil.which("java")
    if java is None:
        pytest.skip("java is not installed: its HTTP client was NOT tried")
    command = [java, str(CLIENTS / "Post.java"), callbacks_url(cluster), "77"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout.startswith("200"), done.stdout + done.stderr
    [callback] = cluster.wait_for("raw", RawCallback, "x" * 77)
    assert callback.body == b"x" * 77


def test_a_compressed_callback_is_stored_as_it_was_before(cluster: Cluster) -> None:
    body = b'{"results": ["compressed"]}'
    answer = http.post(callbacks_url(cluster), content=gzip.compress(body), headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 200
    [callback] = cluster.wait_for("raw", RawCallback, "compressed")
    assert callback.body == body
    assert "content-encoding" not in callback.headers


def test_a_callback_that_is_too_large_once_it_is_unpacked_is_refused(cluster: Cluster) -> None:
    body = gzip.compress(b" " * (5 << 20))
    answer = http.post(callbacks_url(cluster), content=body, headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_a_client_that_is_still_sending_reads_that_its_body_is_too_large(cluster: Cluster, key: str) -> None:
    for url, headers in (
        (callbacks_url(cluster), {}),
        (cluster.console("console-1") + "/api/contacts/check", {"X-Api-Key": key}),
        (cluster.console("console-1") + "/api/contacts/check", {}),
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(url, b" " * (8 << 20), headers), timeout=PATIENCE)
        assert refused.value.code == (413 if headers or "infobip" in url else 401)
        refused.value.close()


@pytest.mark.parametrize("door", ["ingest", "console"])
@pytest.mark.parametrize(
    ("fields", "status"),
    [("Host: b\r\n", b"400"), ("X: y\r\n" * 200, b"431"), ("Transfer-Encoding: gzip, chunked\r\n", b"501")],
)
def test_heads_that_cannot_be_are_refused(cluster: Cluster, door: str, fields: str, status: bytes) -> None:
    url = callbacks_url(cluster) if door == "ingest" else cluster.console("console-1") + "/api/contacts/check"
    assert sent(url, fields, b"{}").split()[1] == status
