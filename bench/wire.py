"""Minimal HTTP/1.1 for load tests: a client that keeps connections busy, a server that answers at once.

Not a general client or server. They cost a fraction of what is measured, and are not included in it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import cast

NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


class Client(asyncio.Protocol):
    """One keep-alive connection with one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._waiting: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    @property
    def is_closed(self) -> bool:
        """Whether the server has closed the connection, as it does with one that rests."""
        return self._transport is None or self._transport.is_closing()

    def post(self, request: bytes) -> asyncio.Future[int]:
        """Send a whole request; the future returns the answer's status."""
        self._waiting = asyncio.get_running_loop().create_future()
        cast(asyncio.Transport, self._transport).write(request)
        return self._waiting

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or self._waiting is None:
            return
        head = self._buffer[:end].lower()
        length = 0
        at = head.find(b"content-length:")
        if at >= 0:
            length = int(head[at + 15 :].split(b"\r\n", 1)[0])
        if len(self._buffer) < end + 4 + length:
            return
        self._buffer = b""
        waiting, self._waiting = self._waiting, None
        waiting.set_result(int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionError("closed"))


class Server(asyncio.Protocol):
    """Answers every request with 204, and reports each body and the time at which it was complete (monotonic ns)."""

    def __init__(self, told: Callable[[bytes, bytes, int], None]) -> None:
        self._told = told
        self._buffer = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def took(self, head: bytes, body: bytes, at: int) -> None:
        """Handle a complete request."""
        self._told(head, body, at)
        self.write(NO_CONTENT)

    def write(self, answer: bytes) -> None:
        """Answer, if the client is still connected."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(answer)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._buffer[:end]
            lower = head.lower()
            at = lower.find(b"content-length:")
            length = int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            total = end + 4 + length
            if len(self._buffer) < total:
                return
            body, self._buffer = self._buffer[end + 4 : total], self._buffer[total:]
            self.took(head, body, time.monotonic_ns())


async def connections(host: str, port: int, count: int) -> deque[Client]:
    """Open connections."""
    loop = asyncio.get_running_loop()
    return deque([(await loop.create_connection(Client, host, port))[1] for _ in range(count)])
