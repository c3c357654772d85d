"""The protocol of the doors, over sockets: no input loses a body, and every refusal can be read."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from inbound import lingering
from inbound.heads import MOST_CHUNKS
from inbound.protocol import MOST_PIPELINED, Limits, bounded
from tests.http_servers import served

REFUSED_ABOVE = 1_000
LIMITS = Limits(head_bytes=4_096, head_fields=20, head_seconds=0.5, connections=4)
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the length of the body, 413 above a limit, without reading on; /early answers before the body."""
    size, more, status = 0, scope["path"] != "/early", 403 if scope["path"] == "/early" else 200
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        more = message["more_body"]
        if size > REFUSED_ABOVE:
            status, more = 413, False
    body = b"%d" % size
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with served(app, http=bounded(LIMITS), ws="none") as url:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        yield parts.hostname, parts.port


class Client:
    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=5)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.socket.sendall(part)
            if len(parts) > 1:
                time.sleep(0.001)

    def answers(self) -> list[tuple[int, bytes]]:
        """Return status and body of every answer until the connection ends."""
        data = b""
        while chunk := self.socket.recv(65_536):
            data += chunk
        return read(data)

    def answer(self) -> tuple[int, bytes]:
        """Return the next answer on a persistent connection."""
        data = b""
        while not read(data):
            data += self.socket.recv(65_536)
        [answer] = read(data)
        return answer


def sends_until_reset(client: Client, data: bytes, pause: float = 0.0) -> int:
    """Return how often the data could be sent, at most 100 times."""
    for number in range(100):
        try:
            client.send(data)
        except OSError:
            return number
        time.sleep(pause)
    return 100


def read(data: bytes) -> list[tuple[int, bytes]]:
    answers = []
    while b"\r\n\r\n" in data:
        head, _, rest = data.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        if len(rest) < length:
            break
        answers.append((int(head.split()[1]), rest[:length]))
        data = rest[length:]
    return answers


def request(body: bytes = b"", fields: bytes = b"", path: bytes = b"/", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n%b\r\n%b" % (path, size, fields, body)


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n%b\r\n5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "parts",
    [
        (request(b"12345678", UPGRADE),),
        (request(b"", UPGRADE, length=8), b"1234", b"5678"),
        tuple(request(b"12345678", UPGRADE)[at : at + 3] for at in range(0, 160, 3)),
        (CHUNKED % UPGRADE,),
        (CHUNKED % b"Connection: upgrade\r\nUpgrade: websocket\r\n",),
        (request(b"12345678", b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"),),
    ],
    ids=["h2c", "in pieces", "in many pieces", "in chunks", "websocket in chunks", "websocket"],
)
def test_a_request_that_asks_for_another_protocol_is_answered_whole(
    address: tuple[str, int], parts: tuple[bytes, ...]
) -> None:
    with Client(address) as client:
        client.send(*parts)
        assert client.answer() == (200, b"8")


def test_requests_follow_one_another_on_a_connection_however_their_bodies_end(address: tuple[str, int]) -> None:
    with Client(address) as client:
        client.send(request(b"1", UPGRADE) + CHUNKED % UPGRADE + request(b"123", b"Connection: close\r\n"))
        assert client.answers() == [(200, b"1"), (200, b"8"), (200, b"3")]


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 400, "bad_host"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "bad_host"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501, "unknown_coding"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 30 + b"\r\n", 431, "too_many_headers"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 5_000 + b"\r\n\r\n", 431, "head_too_large"),
        (b"GET /" + b"y" * 5_000, 431, "head_too_large"),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400, "bad_host"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n", 400, "not_http"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX", 408, "head_timeout"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n", 400, "not_http"),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * MOST_CHUNKS,
            413,
            "too_many_chunks",
        ),
    ],
)
def test_what_is_refused_says_why_and_ends_the_connection(
    address: tuple[str, int], sent: bytes, status: int, code: str
) -> None:
    with Client(address) as client:
        client.send(sent)
        [(answered, body)] = client.answers()
        assert (answered, json.loads(body)["code"]) == (status, code)


def test_of_requests_that_do_not_wait_for_their_answers_so_many_are_answered(address: tuple[str, int]) -> None:
    with Client(address) as client:
        client.send(request(b"1") * 100)
        assert client.answers() == [(200, b"1")] * (MOST_PIPELINED + 1)


def test_an_answer_before_the_refused_request_still_comes(address: tuple[str, int]) -> None:
    with Client(address) as client:
        client.send(request(b"12") + b"POST / HTTP/1.1\r\n\r\n")
        assert client.answers()[0] == (200, b"2")


def test_a_connection_that_says_nothing_is_closed(address: tuple[str, int]) -> None:
    with Client(address) as client:
        assert client.answers() == []


@pytest.mark.parametrize("fields", [b"", b"Connection: close\r\n"])
@pytest.mark.parametrize(("path", "status"), [(b"/", 413), (b"/early", 403)])
def test_a_client_that_is_still_sending_reads_the_answer(
    address: tuple[str, int], path: bytes, status: int, fields: bytes
) -> None:
    size = 4 << 20
    with Client(address) as client:
        client.send(request(b"x" * 2_000, fields, path, length=size))
        time.sleep(0.05)
        client.send(b"x" * (size - 2_000))
        [(answered, _)] = client.answers()
        assert answered == status


def test_what_is_thrown_away_after_a_refusal_has_an_end(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lingering, "LINGER_BYTES", 1 << 20)
    with Client(address) as client:
        client.send(request(b"x" * 2_000, length=1 << 40))
        assert sends_until_reset(client, b"x" * (1 << 20)) < 100


def test_a_refused_client_that_sends_nothing_more_is_let_go_in_time(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lingering, "LINGER_SECONDS", 0.05)
    with Client(address) as client:
        client.send(request(b"x" * 2_000, length=1 << 20))
        assert client.answers()[0][0] == 413
        assert sends_until_reset(client, b"x", pause=0.01) < 100


def test_a_whole_request_that_is_refused_costs_no_connection(address: tuple[str, int]) -> None:
    with Client(address) as client:
        client.send(request(b"12", path=b"/early"))
        assert client.answer()[0] == 403
        client.send(request(b"123"))
        assert client.answer() == (200, b"3")


def test_a_refused_request_whose_short_body_comes_after_the_answer_costs_no_connection(
    address: tuple[str, int],
) -> None:
    with Client(address) as client:
        client.send(request(path=b"/early", length=2_000))
        assert client.answer()[0] == 403
        client.send(b"x" * 2_000 + request(b"123"))
        assert client.answer() == (200, b"3")


def test_a_short_body_that_does_not_come_after_its_answer_ends_the_connection(address: tuple[str, int]) -> None:
    with Client(address) as client:
        client.send(request(path=b"/early", length=2_000), b"x")
        assert [status for status, _ in client.answers()] == [403]


def test_connections_beyond_the_limit_are_told_so_and_there_is_room_once_others_go(address: tuple[str, int]) -> None:
    clients = [Client(address) for _ in range(LIMITS.connections)]
    for client in clients:
        client.send(request(b"1"))
        assert client.answer() == (200, b"1")
    with Client(address) as one_more:
        [(status, body)] = one_more.answers()
        assert (status, json.loads(body)["code"]) == (503, "too_many_connections")
    for client in clients:
        client.socket.close()
    deadline = time.monotonic() + 5
    while True:
        with Client(address) as again:
            again.send(request(b"1"))
            if again.answer()[0] == 200:
                break
        assert time.monotonic() < deadline
