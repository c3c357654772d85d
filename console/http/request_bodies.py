"""The first checks of every request: its URL, and its body, read within limits of bytes and time."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope

from console.errors import too_large, validation_failed
from inbound.codings import NotDecodable, TooLong, decoded

MAX_PATH, MAX_QUERY_BYTES, MAX_PARAMETERS = 4_000, 32 << 10, 256
"""Maximum characters of a path, bytes of a query, and parameters of a query."""


MAX_VALUES = 100_000
"""Maximum values of a JSON body. A thousand registered messages have about ten thousand."""

MAX_DIGITS = 640
"""Maximum digits of an integer in a body, the lowest limit that Python allows. Parsing takes quadratic time."""


class Disconnected(Exception):
    """The caller has disconnected."""


def check_url(scope: Scope) -> None:
    """Raise ApiError 422 for a URL that no page has, before parsing it, or for a zero byte, which PostgreSQL does not
    allow in texts."""
    path, query = scope["path"], scope["query_string"]
    if len(path) > MAX_PATH or len(query) > MAX_QUERY_BYTES or query.count(b"&") >= MAX_PARAMETERS:
        raise validation_failed(["URL: is too long, or has too many parameters"])
    if "\x00" in path or b"%00" in query:
        raise validation_failed(["URL: contains a zero byte"])


def check_values(body: bytes) -> None:
    """Raise ApiError 422 for a body with too many values to parse while others wait."""
    if body.count(b",") >= MAX_VALUES:
        raise validation_failed([f"body: has more than {MAX_VALUES:,} values; send less at once"])


async def read_body(headers: Headers, receive: Receive, limit: int, seconds: float) -> bytes:
    """Return the whole body, decoded. Raises ApiError: 413 above `limit` bytes, 422 if it takes too long or its coding
    is invalid; Disconnected."""
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise too_large(limit)
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Disconnected
                body += message.get("body", b"")
                if len(body) > limit:
                    raise too_large(limit)
                more = message.get("more_body", False)
    except TimeoutError:
        raise validation_failed(["body: did not arrive in time"]) from None
    try:
        coding = ", ".join(headers.getlist("content-encoding"))
        return await asyncio.to_thread(decoded, bytes(body), coding, limit) if coding else bytes(body)
    except TooLong:
        raise too_large(limit) from None
    except NotDecodable:
        raise validation_failed(
            ["Content-Encoding: only gzip and deflate are supported, and the body must be encoded that way"]
        ) from None


def replayed(body: bytes, receive: Receive) -> Receive:
    """Return a receive function that yields the body already read, and then further messages."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay
