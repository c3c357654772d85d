from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import Any

import pytest

from outbound.outcomes import Outcome, answered
from outbound.sender import MAX_RESPONSE_BYTES, Sender, tls_context

LOOPBACK = [ip_network("127.0.0.0/8")]
TIMEOUT = 0.5
"""Seconds that a test waits in which an answer does not come."""

PATIENT = 30.0
"""Seconds in which every answer comes that a server sends, however busy the machine is."""

NEVER = 60.0
"""Seconds that a server waits of which no test sees the end."""

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Post = Callable[..., Awaitable[Outcome]]


class Server:
    """Answers requests with given bytes, one entry a request; the last entry goes on for ever.

    A float is a pause in seconds, None closes the connection.
    """

    def __init__(self) -> None:
        self.script: list[tuple[bytes | float | None, ...]] = [(OK,)]
        self.requests: list[tuple[bytes, bytes]] = []
        self.connections = 0
        self.url = ""
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                self.requests.append((head, await reader.readexactly(length)))
                steps = self.script[0] if len(self.script) == 1 else self.script.pop(0)
                for step in steps:
                    if step is None:
                        return
                    if isinstance(step, float):
                        await asyncio.sleep(step)
                    else:
                        writer.write(step)
                        await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/hook?a=1"
    yield server
    listening.close()
    server.close()
    await asyncio.sleep(0)


@asynccontextmanager
async def posting(timeout: float) -> AsyncIterator[Post]:
    sender = Sender(timeout=timeout, allow_http=True, allowed=LOOPBACK)
    await sender.start()

    async def post(url: str, headers: dict[str, str] | None = None, body: bytes = b"{}") -> Outcome:
        return await sender.post(url, headers or {}, body)

    yield post
    await sender.stop()


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    async with posting(PATIENT) as post:
        yield post


@pytest.fixture
async def hasty_post() -> AsyncIterator[Post]:
    async with posting(TIMEOUT) as post:
        yield post


def response(status: int, *headers: str, body: bytes = b"") -> tuple[bytes]:
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines).encode() + b"\r\n\r\n" + body,)


async def test_a_request_has_the_exact_body_and_no_headers_but_ours(server: Server, post: Post) -> None:
    assert await post(server.url, {"webhook-id": "evt_1"}, b'{"a": "\xc3\xbc"}') == answered(200)
    [(head, body)] = server.requests
    request, *headers = head.decode().split("\r\n")[:-2]
    assert request == "POST /hook?a=1 HTTP/1.1"
    assert body == b'{"a": "\xc3\xbc"}'
    names = {line.partition(":")[0] for line in headers}
    assert names == {"Host", "Content-Type", "User-Agent", "webhook-id", "Content-Length"}
    assert "Content-Type: application/json" in headers
    assert any(line.startswith("User-Agent: trackly/") for line in headers)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (response(200), answered(200)),
        (response(204), answered(204)),
        (response(400, body=b"no"), Outcome(400, "http_status")),
        (response(500), Outcome(500, "http_status")),
        (response(429, "Retry-After: 120"), Outcome(429, "http_status", 120.0)),
        (response(503, "Retry-After: 7"), Outcome(503, "http_status", 7.0)),
        (response(200, "Webhook-Delivery: disable"), answered(200, asked=("disable",))),
        (response(400, "webhook-delivery: abort-message"), Outcome(400, "aborted", asked=("abort-message",))),
        (response(400, "webhook-delivery: stop"), Outcome(400, "http_status")),
        (response(503, "Retry-After: later"), Outcome(503, "http_status")),
        (response(500, "Retry-After: 7"), Outcome(500, "http_status")),
        ((b"HTTP/1.1 200 OK\r\n\r\nuntil the end", None), answered(200)),
        ((b"HTTP/1.1 100 Continue\r\n\r\n" + OK,), answered(200)),
        (response(200, "Content-Encoding: gzip", body=b"this is not gzip"), answered(200)),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nthe", None), answered(200)),
        ((b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\nbroken",), Outcome(500, "http_status")),
        ((b"SSH-2.0-OpenSSH_9.6\r\n",), Outcome(error_class="bad_response")),
        ((None,), Outcome(error_class="connect")),
    ],
)
async def test_every_answer_has_an_outcome(
    server: Server, post: Post, answer: tuple[Any, ...], outcome: Outcome
) -> None:
    server.script = [answer]
    assert await post(server.url) == outcome


@pytest.mark.parametrize("answer", [(NEVER, OK), (b"HTTP/1.1 200", NEVER, b" OK\r\n\r\n")])
async def test_an_answer_that_does_not_come_in_time_is_a_timeout(
    server: Server, hasty_post: Post, answer: tuple[Any, ...]
) -> None:
    server.script = [answer]
    assert await hasty_post(server.url) == Outcome(error_class="timeout")


async def test_the_status_counts_although_the_rest_does_not_come(server: Server, hasty_post: Post) -> None:
    server.script = [(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nthe", NEVER)]
    assert await hasty_post(server.url) == answered(200)


@pytest.mark.parametrize(
    ("answer", "head"),
    [
        (response(200), ""),
        (response(200, body=b"thanks"), "thanks"),
        (response(500, body="Grüße".encode() + b"\xff"), "Grüße\N{REPLACEMENT CHARACTER}"),
        (response(200, body=b"x" * 4_000_000), "x" * MAX_RESPONSE_BYTES),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nthe", None), "the"),
    ],
)
async def test_the_beginning_of_an_answer_is_kept(
    server: Server, post: Post, answer: tuple[Any, ...], head: str
) -> None:
    server.script = [answer]
    assert (await post(server.url)).head == head


async def test_a_body_of_another_type_says_so_once(server: Server, post: Post) -> None:
    await post(server.url, {"Content-Type": "application/cloudevents+json"})
    [(head, _)] = server.requests
    assert head.decode().lower().count("content-type") == 1
    assert b"Content-Type: application/cloudevents+json" in head


async def test_an_account_may_use_http_where_the_deployment_does_not(server: Server) -> None:
    sender = Sender(allowed=LOOPBACK)
    await sender.start()
    refused = await sender.post(server.url, {}, b"{}")
    taken = await sender.post(server.url, {}, b"{}", True)
    again = await sender.post(server.url, {}, b"{}")
    await sender.stop()
    assert [refused.error_class, taken.error_class, again.error_class] == ["invalid_url", None, "invalid_url"]


async def test_requests_and_connections_are_counted(server: Server) -> None:
    sender = Sender(allow_http=True, allowed=LOOPBACK)
    await sender.start()
    for _ in range(5):
        await sender.post(server.url, {}, b"{}")
    await sender.stop()
    assert (sender.requests, sender.connections, server.connections) == (5, 1, 1)


async def test_a_redirect_is_a_failure_and_is_not_followed(server: Server, post: Post) -> None:
    server.script = [response(307, f"Location: {server.url}")]
    assert await post(server.url) == Outcome(307, "http_status")
    assert len(server.requests) == 1


async def test_cookies_are_not_kept(server: Server, post: Post) -> None:
    server.script = [response(200, "Set-Cookie: a=b")]
    await post(server.url)
    await post(server.url)
    assert b"cookie" not in server.requests[1][0].lower()


async def test_a_connection_is_used_again(server: Server, post: Post) -> None:
    server.script = [(OK,), response(500, body=b"x" * MAX_RESPONSE_BYTES), (OK,)]
    for _ in range(4):
        await post(server.url)
    assert server.connections == 1


async def test_an_answer_that_is_too_long_is_cut_and_its_connection_closed(server: Server, post: Post) -> None:
    server.script = [response(200, body=b"x" * 4_000_000), (OK,)]
    assert await post(server.url) == answered(200)
    assert await post(server.url) == answered(200)
    assert server.connections == 2


async def test_a_connection_that_was_closed_while_idle_costs_no_attempt(server: Server, post: Post) -> None:
    server.script = [(OK,), (None,), (OK,)]
    assert await post(server.url) == answered(200)
    assert await post(server.url) == answered(200)
    assert len(server.requests) == 3


async def test_a_connection_that_is_closed_with_the_answer_costs_no_attempt(server: Server, post: Post) -> None:
    server.script = [(OK, None)]
    for _ in range(5):
        assert await post(server.url) == answered(200)


async def test_a_receiver_that_always_hangs_up_is_called_twice_at_most(server: Server, post: Post) -> None:
    server.script = [(None,)]
    assert await post(server.url) == Outcome(error_class="connect")
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("url", "error_class"),
    [
        ("http://127.0.0.1:1/", "connect"),
        ("http://" + "a" * 64 + ".example.com/", "dns"),
        ("http://10.0.0.1/", "refused_address"),
        ("http://[::1]/", "refused_address"),
        ("ftp://example.com/", "invalid_url"),
        ("", "invalid_url"),
    ],
)
async def test_where_nobody_can_be_reached(post: Post, url: str, error_class: str) -> None:
    assert await post(url) == Outcome(error_class=error_class)
    assert await post(url) == Outcome(error_class=error_class)


async def test_a_server_without_tls_is_a_tls_failure(post: Post) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ready\r\n")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        assert await post(f"https://127.0.0.1:{port}/") == Outcome(error_class="tls")


async def test_a_name_of_a_local_address_is_refused_after_the_lookup(server: Server) -> None:
    sender = Sender(allow_http=True)
    await sender.start()
    url = server.url.replace("127.0.0.1", "localhost")
    outcomes = await asyncio.gather(*[sender.post(url, {}, b"{}") for _ in range(3)])
    await sender.stop()
    assert outcomes == [Outcome(error_class="refused_address")] * 3
    assert server.connections == 0


async def test_proxies_of_the_environment_are_not_used(
    server: Server, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert await post(server.url) == answered(200)


async def test_what_nobody_foresaw_is_an_outcome_too(
    server: Server, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    assert await post(server.url, {"webhook-id": "a\r\nb: c"}) == Outcome(error_class="internal_error")
    assert "unexpected" in caplog.text
    assert server.requests == []


def test_tls_is_verified_and_not_old() -> None:
    context = tls_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
