"""Closes a connection so that the client can still read the last answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

LINGER_SECONDS = 10.0
"""Seconds to keep reading, and discarding, what a client still sends."""

LINGER_BYTES = 64 << 20
"""Maximum bytes to discard."""


class LingeringTransport:
    """A transport whose `close` first shuts down only the sending side while the client is still sending, and discards
    input within limits of time and bytes. Everything else is delegated to the transport."""

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, is_receiving: Callable[[], bool]
    ) -> None:
        self.is_lingering = False
        self.write = transport.write
        self._transport = transport
        self._loop = loop
        self._is_receiving = is_receiving
        self._left = LINGER_BYTES
        self._end: asyncio.TimerHandle | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Whether the sending side is closed."""
        return self.is_lingering or self._transport.is_closing()

    def close(self) -> None:
        """Stop sending."""
        if self.is_closing():
            return
        if not self._is_receiving():
            self._transport.close()
            return
        self.is_lingering = True
        self._end = self._loop.call_later(LINGER_SECONDS, self._transport.close)
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._transport.resume_reading()

    def discard(self, size: int) -> None:
        """Count bytes received after the close."""
        self._left -= size
        if self._left < 0:
            self._transport.close()

    def lost(self) -> None:
        """The connection is gone."""
        if self._end is not None:
            self._end.cancel()
