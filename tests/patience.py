"""The time limit of tests, and requests to services on this machine with that limit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import httpx

PATIENCE = 180.0
"""Seconds after which a test gives up waiting: long enough for the busiest machine, to end only tests that hang. If a
bound is what is being tested, the test states it."""


def until(condition: Callable[[], bool], what: str = "it did not happen in time", seconds: float = PATIENCE) -> None:
    """Wait until a condition holds. Raises AssertionError, which says what is missing, if that takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


class Progress:
    """Ends a wait in which what is left stops shrinking, however long the whole takes on a busy machine."""

    def __init__(self) -> None:
        self._least = math.inf
        self._moved_at = time.monotonic()

    def look(self, left: float, of: str) -> None:
        """Note how much is left. Raises AssertionError if that has not shrunk for PATIENCE seconds."""
        if left < self._least:
            self._least, self._moved_at = left, time.monotonic()
        assert time.monotonic() - self._moved_at < PATIENCE, f"nothing moves any more: {left:g} {of} left"


# A restarted service has the same port, so each request gets its own connection.
http = httpx.Client(timeout=PATIENCE, verify=False, limits=httpx.Limits(max_keepalive_connections=0))
