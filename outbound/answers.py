"""Reads a receiver's answer tolerantly: the status counts, whatever follows it.

aiohttp discards an answer with a header that is too long or malformed, too many headers, a length in addition to
chunks, or a forbidden body. But the receiver has accepted the webhook. So the status line is parsed separately, from
the same bytes, and a later error is raised as `Answered`.

This relies on private parts of aiohttp 3.14: the connector's `_factory`, `ResponseHandler`. The tests fail if a new
version drops them.
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
"""Maximum interim answers (1xx) to a request."""

MOST_INTERIM_BYTES = 16 << 10

_STATUS_LINE = re.compile(rb"HTTP/\d\.\d (\d{3})(?:[ \t][^\r\n]*)?\r?\n")
_END = re.compile(rb"\r?\n\r?\n")


class Answered(Exception):
    """A status was received before something went wrong; the error is the cause."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class AnswerHandler(ResponseHandler):
    """A connection that records the `status` of the answer being read; None before its line is complete."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.status: int | None = None
        self._line = b""
        self._interim = 0
        self._is_final = True

    def set_response_params(self, **params: Any) -> None:
        """Start a request: its answer comes next."""
        self.status, self._line, self._interim, self._is_final = None, b"", 0, False
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Parse the status, then let aiohttp read."""
        if not self._is_final and data:
            self._look(data)
            if self._interim > MOST_INTERIM or len(self._line) > MOST_INTERIM_BYTES:
                self._is_final = True
                if self.transport is not None:
                    self.transport.abort()
                self.set_exception(HttpProcessingError(message="endless interim answers"))
                return
        super().data_received(data)

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Handle a parsed head. A forbidden body would be parsed as the next answer."""
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
    """Raises Answered if the status is known but the rest of the head cannot be read."""

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
    """Make a connector's connections record their answers' status."""
    factory: Any = partial(AnswerHandler, loop=asyncio.get_running_loop())
    connector._factory = factory
