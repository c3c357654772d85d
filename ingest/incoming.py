"""An incoming callback or postback, between the HTTP server and the checks. Each part is parsed once.

It replaces the framework's request, which would cost a third of the time spent per callback.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope

from providers.networks import ACCOUNT

_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Disconnected(Exception):
    """The connection closed before the body was complete."""


class Incoming:
    """One request. `path`, `query`, and `rest` are normalized; `target` is the path and query as received.

    `name` is the provider or network. `rest` is what follows it in the path (a secret, an account), or None. `account`
    is the account's id once resolved. `sent_body` is the body as sent, when it was compressed.
    """

    def __init__(self, scope: Scope, receive: Receive, *, path: str, name: str, rest: str | None, query: str) -> None:
        self.method: str = scope["method"]
        self.path, self.name, self.rest, self.query = path, name, rest, query
        self.raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        self.account: str | None = None
        self.sent_body: bytes | None = None
        self.complete_at = time.monotonic()
        """When the body was complete or, until then, when the head was."""
        self.is_parsed = False
        """Whether the query has been found within bounds."""
        self.headers: Mapping[str, str] = {
            key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]
        }
        """Headers by lower-case name. The last value wins."""
        self.traceparent = _trace_of(self.headers.get("traceparent"))
        """W3C trace context for what the request causes: the incoming one, until the request has a span of its own."""
        self._scope = scope
        self._receive = receive
        self._parameters: list[tuple[str, str]] | None = None

    @property
    def target(self) -> str:
        """The path and query as received, still encoded."""
        path, query = self.raw_path.decode("latin-1"), self._scope["query_string"].decode("latin-1")
        return f"{path}?{query}" if query else path

    @property
    def peer(self) -> str | None:
        """The address of the client."""
        client: Sequence[Any] | None = self._scope.get("client")
        return client[0] if client else None

    def values(self, header: str) -> list[str]:
        """All values of a header (lower-case name), in order."""
        if header not in self.headers:
            return []
        name = header.encode()
        return [value.decode("latin-1") for key, value in self._scope["headers"] if key == name]

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The query parameters, decoded, in order."""
        if self._parameters is None:
            self._parameters = parse_qsl(self.query, keep_blank_values=True)
        return self._parameters

    @property
    def accounts(self) -> list[str]:
        """The values of the query parameter `account`."""
        return [value for name, value in self.parameters if name == ACCOUNT]

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives. Raises Disconnected."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            more = message.get("more_body", False)
            yield message.get("body", b"")


def _trace_of(header: str | None) -> bytes | None:
    return header.encode() if header is not None and _TRACEPARENT.fullmatch(header) else None
