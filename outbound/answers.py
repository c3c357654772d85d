"""What a receiver answered, as far as it was read: the status counts, whatever follows it.

aiohttp gives up an answer of which a header is too long or malformed, with too many of them, with a length beside
chunks, or a body where there can be none. The receiver had taken the webhook all the same. So the status line is read
beside aiohttp's parser, from the same bytes, and what went wrong after it comes as `Answered`.

This stands on private parts of aiohttp 3.14: the connector's `_factory`, `ResponseHandler`. The tests fail when a new
version does without them.
"""

from __future__ import annotations

import asyncio
import re
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError

MOST_INTERIM = 8
"""Interim answers (1xx) to a request."""

MOST_INTERIM_BYTES = 16 << 10

_STATUS_LINE = re.compile(rb"HTTP/\d\.\d (\d{3})(?:[ \t][^\r\n]*)?\r?\n")
_END = re.compile(rb"\r?\n\r?\n")


class Answered(Exception):
    """A status was read, and then something went wrong: the cause."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class AnswerHandler(ResponseHandler):
    """A connection that remembers the `status` of the answer that it reads, None before its line was complete."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.status: int | None = None
        self._line = b""
        self._interim = 0
        self._is_final = True

    def set_response_params(self, **params: Any) -> None:
        """A request is being sent: its answer comes next."""
        self.status, self._line, self._interim, self._is_final = None, b"", 0, False
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Look at the status, then let aiohttp read."""
        if not self._is_final and data:
            self._look(data)
            if self._interim > MOST_INTERIM or len(self._line) > MOST_INTERIM_BYTES:
                self._is_final = True
                if self.transport is not None:
                    self.transport.abort()
                self.set_exception(HttpProcessingError(message="interim answers without end"))
                return
        super().data_received(data)

    def feed_data(self, data: Any, size: int = 0) -> None:
        """A head was read. A body that must not be there would be taken for the next answer."""
        message, _ = data
        if message.code in (204, 304) and not _is_bodiless(message.headers):
            self.force_close()
        super().feed_data(data, size)

    def _look(self, data: bytes) -> None:
        at, seen = 0, self._line + data
        while (line := _STATUS_LINE.match(seen, at)) is not None:
            self.status = int(line[1])
            if self.status >= 200 or self.status == 101:
                self._is_final, self._line = True, b""
                return
            end = _END.search(seen, line.end() - 2)
            if end is None:
                break
            at, self._interim = end.end(), self._interim + 1
            if self._interim > MOST_INTERIM:
                return
        self._line = seen[at:]


class AnswerResponse(aiohttp.ClientResponse):
    """Raises Answered where the status is known and the rest of the head cannot be had."""

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        """Read the head."""
        protocol = connection.protocol
        try:
            await super().start(connection)
        except (aiohttp.ClientError, OSError) as error:
            if protocol.status is None:
                raise
            raise Answered(protocol.status) from error
        return self


def _is_bodiless(headers: Any) -> bool:
    return headers.get("Content-Length", "0").strip() == "0" and "Transfer-Encoding" not in headers


def watch_answers(connector: aiohttp.TCPConnector) -> None:
    """Let a connector's connections remember what was answered."""
    factory: Any = partial(AnswerHandler, loop=asyncio.get_running_loop())
    connector._factory = factory
