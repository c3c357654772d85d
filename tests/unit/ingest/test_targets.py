"""The meaning of a request's target, and the original."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.responses import Response

from ingest.incoming import Incoming
from ingest.protocol import encoded
from ingest.targets import CallbackRoutes, claims_of

OTHER = "somebody else's"


async def seen_at(url: str) -> Incoming | str:
    """Return what a door receives of a request for this target, or OTHER if it bypasses the doors."""
    seen: list[Incoming | str] = []

    async def take(incoming: Incoming) -> Response:
        seen.append(incoming)
        return Response()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(OTHER)
        await Response()(scope, receive, send)

    transport = httpx.ASGITransport(CallbackRoutes(app, {"webhook-feedbacks": take, "postbacks": take}))
    async with httpx.AsyncClient(transport=transport) as client:
        answer = await client.get(f"http://x{url}")
    return seen[0] if seen else f"{answer.status_code}"


@pytest.mark.parametrize(
    ("path", "name", "rest"),
    [
        ("/api/webhook-feedbacks/infobip", "infobip", None),
        ("/api/webhook-feedbacks/infobip/", "infobip", None),
        ("/api/webhook-feedbacks/infobip//", "infobip", None),
        ("//api/webhook-feedbacks/infobip", "infobip", None),
        ("/api//webhook-feedbacks//lime/s", "lime", "s"),
        ("/api/postbacks/tune/", "tune", None),
        ("/api/postbacks/tune/acme/", "tune", "acme"),
        # Slashes may belong to a secret: those are tried as they came, and without.
        ("/api/webhook-feedbacks/lime/a/b/", "lime", "a/b/"),
        ("/api/webhook-feedbacks/lime//a", "lime", "/a"),
    ],
)
async def test_slashes_that_mean_nothing_are_left_out(path: str, name: str, rest: str | None) -> None:
    seen = await seen_at(path)
    assert isinstance(seen, Incoming)
    assert (seen.name, seen.rest) == (name, rest)


@pytest.mark.parametrize("path", ["/api/webhook-feedbacks/", "/livez/", "//evil.example/api/postbacks/tune"])
async def test_what_is_neither_callback_nor_postback_passes_the_doors(path: str) -> None:
    assert await seen_at(path) == OTHER


@pytest.mark.parametrize("path", ["/api/postbacks/tune/acme/more", "/api/postbacks/tune//acme"])
async def test_an_account_in_the_path_of_a_postback_has_no_slashes(path: str) -> None:
    assert await seen_at(path) == "404"


@pytest.mark.parametrize(("secret", "claims"), [(None, [None]), ("a", ["a"]), ("/a/b/", ["/a/b/", "a/b"])])
def test_a_secret_is_tried_as_it_came_and_without_slashes_around_it(
    secret: str | None, claims: list[str | None]
) -> None:
    assert claims_of(secret) == claims


async def test_doors_see_what_is_meant_and_signatures_what_came() -> None:
    seen = await seen_at("//api/webhook-feedbacks/twilio/?account=acme&amp;From=whatsapp%3A%2B1555")
    assert isinstance(seen, Incoming)
    assert (seen.path, seen.query) == ("/api/webhook-feedbacks/twilio", "account=acme&From=whatsapp%3A%2B1555")
    assert seen.parameters == [("account", "acme"), ("From", "whatsapp:+1555")]
    assert seen.target == "//api/webhook-feedbacks/twilio/?account=acme&amp;From=whatsapp%3A%2B1555"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"GET /x?a=2026-11-20 10:15:32 HTTP/1.1\r\n", b"GET /x?a=2026-11-20%2010:15:32 HTTP/1.1\r\n"),
        (b"GET /x?a=caf\xc3\xa9 HTTP/1.1\r\n", b"GET /x?a=caf%C3%A9 HTTP/1.1\r\n"),
        (b"GET /x?a=#s1#&b=2 HTTP/1.0\r\n", b"GET /x?a=%23s1%23&b=2 HTTP/1.0\r\n"),
        (b"GET /x?a=1 HTTP/1.1 HTTP/1.1\r\n", b"GET /x?a=1%20HTTP/1.1 HTTP/1.1\r\n"),
        (b"GET /x?a=1 HTTP/1.1\r\n", b"GET /x?a=1 HTTP/1.1\r\n"),
        (b'GET /x?a={b}|"c"%20 HTTP/1.1\r\n', b'GET /x?a={b}|"c"%20 HTTP/1.1\r\n'),
        (b"GET /x y\r\n", b"GET /x y\r\n"),
        (b"not a request", b"not a request"),
        (b"", b""),
    ],
)
def test_a_request_line_is_encoded_where_it_must_be(line: bytes, expected: bytes) -> None:
    rest = b"Host: a b\r\n\r\nGET /x y HTTP/1.1\r\n"
    assert encoded(line + rest) == expected + rest
