"""A client that is refused while still sending can read why, as ordinary clients do: after its last byte."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from inbound.protocol import bounded
from ingest.app import Ingest, create_app
from ingest.protocol import TolerantProtocol
from ingest.settings import IngestSettings
from schemas.records import AccountConfig
from tests.http_servers import served

SIZE = 24 << 20
"""Bytes of a body: more than all buffers between the two ends."""


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    settings = IngestSettings(data_dir=tmp_path_factory.mktemp("ingest"), body_timeout=5.0)
    ingest = Ingest(settings)
    ingest.accounts.view.put(AccountConfig(id="acme", name="Acme"))
    ingest.accounts.view.put(AccountConfig(id="fenced", name="Fenced", trusted_cidrs=("203.0.113.0/24",)))
    protocol = bounded(settings.limits(), TolerantProtocol)
    with served(create_app(settings, ingest), http=protocol, ws="none") as url:
        yield int(urlsplit(url).port or 0)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("infobip?account=acme", 413, "body_too_large"),
        ("infobip?account=nobody", 404, "unknown_account"),
        ("infobip?account=fenced", 403, "address_not_trusted"),
    ],
)
@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("connection", ["close", "keep-alive"])
def test_a_client_that_sends_everything_first_reads_the_answer(
    port: int, path: str, status: int, code: str, is_chunked: bool, connection: str
) -> None:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    body = (b"x" * (1 << 20) for _ in range(SIZE >> 20))
    headers = {"Connection": connection}
    if not is_chunked:
        headers["Content-Length"] = str(SIZE)
    client.request("POST", f"/api/webhook-feedbacks/{path}", body, headers, encode_chunked=is_chunked)
    answer = client.getresponse()
    assert (answer.status, json.loads(answer.read())["code"]) == (status, code)
    client.close()


def test_a_client_that_asks_first_is_told_at_once(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(
            b"POST /api/webhook-feedbacks/infobip?account=acme HTTP/1.1\r\nHost: ingest\r\nConnection: close\r\n"
            b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % SIZE
        )
        answer = b"".join(iter(lambda: client.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 413 ")
