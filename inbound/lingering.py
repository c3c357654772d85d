"""Closing a connection so that the other side can read what was said last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

LINGER_SECONDS = 10.0
"""How long what a client still sends is read, and thrown away."""

LINGER_BYTES = 64 << 20
"""How much of it."""


class LingeringTransport:
    """A transport whose `close`, while the other side is sending, ends its own direction first and reads on, within
    bounds of time and bytes. Everything else is the transport's.
    """

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
        """Whether nothing more is said."""
        return self.is_lingering or self._transport.is_closing()

    def close(self) -> None:
        """Say nothing more."""
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
        """So many bytes came after the end."""
        self._left -= size
        if self._left < 0:
            self._transport.close()

    def lost(self) -> None:
        """The connection is gone."""
        if self._end is not None:
            self._end.cancel()
