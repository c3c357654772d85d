"""What is looked at first in every request: its URL, and its body, read in bounded bytes and time."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope

from console.errors import too_large, validation_failed


class Disconnected(Exception):
    """The caller has gone."""


def check_url(scope: Scope) -> None:
    """Raise ApiError 422 for a zero byte: PostgreSQL has none in texts, so it would fail to look for one."""
    if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
        raise validation_failed(["URL: holds a zero byte"])


async def read_body(headers: Headers, receive: Receive, limit: int, seconds: float) -> bytes:
    """The whole body. Raises ApiError: 413 above `limit` bytes, 422 where it takes longer; Disconnected."""
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
    return bytes(body)


def replayed(body: bytes, receive: Receive) -> Receive:
    """What gives a body that was read to whatever comes next, and then what else arrives."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay
