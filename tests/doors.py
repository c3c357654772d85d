"""Measures how long a request occupies a server's loop in this process, in processor time of its thread."""

from __future__ import annotations

import asyncio.events
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from bench.doors.hostile import Hostile

TRIES = 3

LEAST = 0.0005
"""Minimum seconds that a plain request is assumed to cost."""


class Loop:
    """The loop of a server. Only its own work is counted, whatever else the machine does."""

    def __init__(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self._address = (urlsplit(url).hostname or "", urlsplit(url).port or 0)
        self._taken = 0
        self._is_turning = False
        run, here = asyncio.events.Handle._run, threading.get_ident()

        def measured(handle: asyncio.events.Handle) -> None:
            if threading.get_ident() == here:
                return run(handle)
            self._is_turning, before = True, time.thread_time_ns()
            run(handle)
            self._taken += time.thread_time_ns() - before
            self._is_turning = False

        monkeypatch.setattr(asyncio.events.Handle, "_run", measured)

    def cost(self, hostile: Hostile, at_most: float = 0.0) -> float:
        """Return the seconds that a request takes: the minimum of some attempts, or the first within `at_most`."""
        least = float("inf")
        for _ in range(TRIES):
            self._taken = 0
            self._send(hostile)
            while self._is_turning:  # the answer goes out before the turn is over
                time.sleep(0.0001)
            least = min(least, self._taken / 1e9)
            if least <= at_most:
                break
        return least

    def too_expensive(self, requests: Iterable[Hostile], ratio: float) -> dict[str, float]:
        """Return requests that cost more than `ratio` times a plain one of the same size, by name, with the ratio."""
        plain: dict[int, float] = {}
        found = {}
        for hostile in requests:
            size = sum(map(len, hostile.parts)).bit_length()
            if size not in plain:
                plain[size] = max(LEAST, self.cost(_plain(1 << size)))
            cost = self.cost(hostile, ratio * plain[size])
            if cost > ratio * plain[size]:
                found[hostile.name] = round(cost / plain[size])
        return found

    def _send(self, hostile: Hostile) -> None:
        with socket.create_connection(self._address, timeout=60) as connection:
            try:
                for part in hostile.parts:
                    connection.sendall(part)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65_536):
                    pass
            except ConnectionError:
                pass


def _plain(size: int) -> Hostile:
    """Return a request of this many bytes whose body is discarded unread."""
    body = b"x" * size
    head = b"POST /nowhere HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % size
    return Hostile("plain", (head + body,))


@contextmanager
def watched(url: str) -> Iterator[Loop]:
    """Yield the loop of the server at a URL, measured during the block."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield Loop(url, monkeypatch)
