"""The HTTP protocol of the public ports: uvicorn's, with limits on what a client may send before it is answered.

It sees the bytes first. Heads are bounded in size, fields, and time; a request for another protocol is read as plain
HTTP/1.1; connections are counted. A client that is still sending when it is refused can read the answer: closing a
connection while bytes arrive would reset it and lose the answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from inbound.heads import BadHead, Body, Sized, end_of_head, read_head
from inbound.lingering import LingeringTransport

log = logging.getLogger(__name__)

COMPLAINT_SECONDS = 60.0
"""Seconds between log lines about too many connections."""

DRAINED_BYTES = 64 << 10
"""Maximum bytes left of an answered request's body for the connection to stay open: a packet or two that is late."""

MOST_PIPELINED = 8
"""Maximum pipelined requests that wait for an earlier answer. Hardly any client pipelines at all."""

ABOVE = 256
"""Connections beyond the limit that still get an answer; the rest are dropped silently."""


class Limits(NamedTuple):
    """Limits of a port: bytes and fields of a head, seconds for it to arrive, concurrent connections."""

    head_bytes: int = 64 << 10
    head_fields: int = 100
    head_seconds: float = 10.0
    connections: int = 4_096


class _Cycle(RequestResponseCycle):
    """A request and its answer. The connection maintains the state that goes beyond uvicorn's."""

    body_left: Callable[[], Body | None]

    async def send(self, message: Any) -> None:
        """Send a part of the answer. The connection stays open if little of the body is left."""
        if message["type"] == "http.response.start" and self.more_body:
            body = self.body_left()
            self.keep_alive = self.keep_alive and isinstance(body, Sized) and body.left <= DRAINED_BYTES
        await super().send(message)


class BoundedProtocol(HttpToolsProtocol):
    """A connection."""

    limits = Limits()
    _complained_at = float("-inf")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head = b""
        self._body: Body | None = None
        self._refused = self._is_in_body = False
        self._alarm: asyncio.TimerHandle | None = None
        self._lingering: LingeringTransport | None = None

    @property
    def is_receiving(self) -> bool:
        """Whether the client may be in the middle of a request."""
        return self._refused or self._body is not None or bool(self._head)

    def head_of(self, head: bytes) -> bytes:
        """Return a head in the form that the parser gets."""
        return head

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, or answer that there are too many."""
        self._lingering = LingeringTransport(transport, self.loop, lambda: self.is_receiving)
        super().connection_made(self._lingering)  # type: ignore[arg-type]
        if len(self.connections) > self.limits.connections:
            self._complain()
            if len(self.connections) > self.limits.connections + ABOVE:
                transport.abort()
                return
            text = "There are too many connections. Try again."
            self._refuse(503, "too_many_connections", text, b"retry-after: 1\r\n")
            return
        self._arm(self.limits.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._disarm()
        if self._lingering is not None:
            self._lingering.lost()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take incoming data, request by request."""
        assert self._lingering is not None
        if self._lingering.is_lingering:
            self._lingering.discard(len(data))
            return
        while data and not self._refused and not self.transport.is_closing():
            if self._body is None:
                data = self._take_head(data)
                continue
            self._is_in_body = True
            data = self._take_body(self._body, data)
            self._is_in_body = False

    def send_400_response(self, msg: str) -> None:
        """Answer a request that the parser rejected."""
        self._refuse(400, "not_http", msg)

    def on_headers_complete(self) -> None:
        """A request begins."""
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            # uvicorn creates the cycle itself. A cycle with a reference to itself would burden the garbage collector
            # after each request.
            cycle: Any = self.cycle
            cycle.__class__ = _Cycle
            cycle.body_left = self._body_left

    def on_response_complete(self) -> None:
        """A request was answered. The rest of a short body may still arrive within a time limit."""
        super().on_response_complete()
        if self._body is not None and not self.transport.is_closing():
            self._arm(self.limits.head_seconds)

    def _body_left(self) -> Body | None:
        return self._body

    def _take_body(self, body: Body, data: bytes) -> bytes:
        """Consume the body's bytes, and return what follows them."""
        try:
            size = body.take(data)
        except BadHead as bad:
            self._refuse(bad.status, bad.code, str(bad))
            return b""
        if body.complete:
            self._body = None
            if self._alarm is not None:  # answered before the deadline
                self._arm(self.timeout_keep_alive)
        super().data_received(data[:size])
        return data[size:]

    def _take_head(self, data: bytes) -> bytes:
        """Consume a head, and return what follows it."""
        if len(self.pipeline) >= MOST_PIPELINED:
            self._refuse(503, "too_many_requests", f"At most {MOST_PIPELINED} requests may wait for an earlier one.")
            return b""
        start = len(self._head)
        self._head = self._head + data if start else data.lstrip(b"\r\n")
        end = end_of_head(self._head, start)
        if (len(self._head) if end is None else end) > self.limits.head_bytes:
            self._refuse(431, "head_too_large", f"A head may have at most {self.limits.head_bytes} bytes.")
            return b""
        if end is None:
            if start == 0 and self._head:
                self._arm(self.limits.head_seconds)
            return b""
        self._disarm()
        text, rest, self._head = self._head[:end], self._head[end:], b""
        try:
            head = read_head(text, self.limits.head_fields)
        except BadHead as bad:
            self._refuse(bad.status, bad.code, str(bad))
            return b""
        self._body = head.body
        super().data_received(self.head_of(head.text))
        return rest

    def _is_late(self) -> None:
        self._alarm = None
        if self._head:
            self._refuse(408, "head_timeout", "The head of the request did not arrive in time.")
        else:
            self.transport.close()

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._alarm = self.loop.call_later(seconds, self._is_late)

    def _disarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _refuse(self, status: int, code: str, text: str, more: bytes = b"") -> None:
        """Answer without calling the application, and stop reading."""
        self._disarm()
        self._refused = True
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.keep_alive = False
            if not self._is_in_body:
                return  # an earlier request is being answered; its answer is the last
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.close()
                return
        body = orjson.dumps({"error": text, "code": code})
        length = b"content-length: %d\r\n" % len(body)
        kind, end = b"content-type: application/json\r\n", b"connection: close\r\n\r\n"
        self.transport.write(b"".join((STATUS_LINE[status], kind, length, more, end, body)))
        self.transport.close()

    def _complain(self) -> None:
        now = self.loop.time()
        if now - BoundedProtocol._complained_at >= COMPLAINT_SECONDS:
            BoundedProtocol._complained_at = now
            log.error("more than %d connections: further ones get 503", self.limits.connections)


def bounded(limits: Limits, base: type[BoundedProtocol] = BoundedProtocol) -> type[BoundedProtocol]:
    """Return the protocol class with these limits, for uvicorn's `http`."""
    return type(base.__name__, (base,), {"limits": limits})
