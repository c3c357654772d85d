"""A received status counts, whatever follows it: the receiver had the webhook."""

from __future__ import annotations

import math
from typing import Any

import pytest

from outbound.answers import MOST_INTERIM
from outbound.outcomes import Outcome, answered
from outbound.sender import Sender
from tests.unit.outbound.test_sender import NEVER, OK, Post, Server, hasty_post, post, server

__all__ = ["hasty_post", "post", "server"]

FIELDS = b"".join(b"X-%d: y\r\n" % number for number in range(300))
TOO_MANY_FIELDS = b"".join(b"X-%d: y\r\n" % number for number in range(3_000))
END = b"Content-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Type: application/json\r\nContent-Length: 4\r\n\r\nnull",
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nnull\r\n0\r\n\r\n",
        b"Set-Cookie: s=" + b"x" * 12_000 + b"\r\n" + END,
        b"Set-Cookie: s=" + b"x" * 100_000 + b"\r\n" + END,
        FIELDS + END,
        TOO_MANY_FIELDS + END,
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"Content-Length: two\r\n\r\nok",
        b"Content-Length: -1\r\n\r\n",
        b"Bad Header: x\r\n" + END,
        b": no name\r\n" + END,
        b"no colon\r\n" + END,
        b"X: a\x00b\r\n" + END,
        b"X: \xff\xfe\r\n" + END,
        b" folded: from nowhere\r\n" + END,
        b"Transfer-Encoding: something\r\n\r\nok",
        b"Transfer-Encoding: chunked\r\n\r\nno chunk",
        b"Content-Length: 0\r\n\r\nand more than was said",
        b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nno",
        b"Sec-WebSocket-Key1: x\r\n" + END,
        b"Upgrade: websocket\r\nConnection: Upgrade\r\n" + END,
    ],
)
@pytest.mark.parametrize(
    "line", [b"HTTP/1.1 200 OK", b"HTTP/1.1 204 No Content", b"HTTP/1.0 202 Accepted", b"HTTP/1.1 201"]
)
async def test_a_success_is_a_success_whatever_follows_its_status_line(
    server: Server, post: Post, line: bytes, rest: bytes
) -> None:
    server.script = [(line + b"\r\n" + rest, None)]
    assert await post(server.url) == answered(int(line.split()[1]))
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("steps", "outcome"),
    [
        ((b"HTTP/1.1 200 OK\r\n", None), answered(200)),
        ((b"HTTP/1.1 2", 0.01, b"00 OK\r\nBad Header: x\r\n", None), answered(200)),
        ((b"HTTP/1.1 500 No\r\nBad Header: x\r\n\r\n",), Outcome(500, "http_status")),
        ((b"HTTP/1.1 410 Gone\r\n" + TOO_MANY_FIELDS + b"\r\n",), Outcome(410, "http_status")),
        ((b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK,), answered(200)),
        ((b"HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n", 0.01, b"HTTP/1.1 204 No\r\nBad Header\r\n\r\n"), answered(204)),
        ((b"HTTP/1.1 100 Continue\r\n\r\n", None), Outcome(100, "connect")),
        ((b"HTTP/1.1 2000 OK\r\n\r\n", None), Outcome(error_class="bad_response")),
        ((b"ICY 200 OK\r\n\r\n", None), Outcome(error_class="bad_response")),
    ],
)  # fmt: skip
async def test_an_attempt_shows_the_status_that_was_read(
    server: Server, post: Post, steps: tuple[Any, ...], outcome: Outcome
) -> None:
    server.script = [steps]
    assert await post(server.url) == outcome


@pytest.mark.parametrize(
    ("sent", "outcome"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-", answered(200)),
        (b"HTTP/1.1 102 Processing\r\n\r\n", Outcome(102, "timeout")),
    ],
)
async def test_an_attempt_whose_time_is_over_shows_the_status_that_was_read(
    server: Server, hasty_post: Post, sent: bytes, outcome: Outcome
) -> None:
    server.script = [(sent, NEVER)]
    assert await hasty_post(server.url) == outcome


async def test_a_connection_on_which_a_body_was_where_none_can_be_is_not_used_again(server: Server, post: Post) -> None:
    server.script = [(b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n", 0.02, b"null"), (OK,)]
    assert await post(server.url) == answered(204)
    assert await post(server.url) == answered(200)
    assert server.connections == 2


async def test_many_and_long_fields_cost_no_connection(server: Server, post: Post) -> None:
    server.script = [(b"HTTP/1.1 200 OK\r\nSet-Cookie: s=" + b"x" * 12_000 + b"\r\n" + FIELDS + END,)]
    for _ in range(2):
        assert await post(server.url) == answered(200)
    assert server.connections == 1


async def test_a_handful_of_interim_answers_is_read(server: Server, post: Post) -> None:
    server.script = [(b"HTTP/1.1 102 Processing\r\n\r\n" * MOST_INTERIM + OK,)]
    assert await post(server.url) == answered(200)


@pytest.mark.parametrize("at_once", [True, False])
async def test_interim_answers_without_end_end_at_a_handful(server: Server, post: Post, at_once: bool) -> None:
    interim = b"HTTP/1.1 102 Processing\r\n\r\n"
    steps = (interim * 10_000,) if at_once else (interim, 0.001) * 50
    server.script = [steps]
    assert await post(server.url) == Outcome(102, "bad_response")
    assert len(server.requests) == 1


def test_the_time_limit_is_not_rounded_up_to_whole_seconds() -> None:
    assert Sender(timeout=5.0)._whole_timeout.ceil_threshold == math.inf
