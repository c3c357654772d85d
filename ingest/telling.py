"""Log lines that strangers can cause as often as they like."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

EVERY = 60.0
"""Seconds between two lines about the same."""

MOST = 1_000
"""Things about which lines are remembered."""


class Seldom:
    """Says the same thing once in a while, and how often it was so in between. Every thing has a line of its own."""

    def __init__(
        self, log: logging.Logger, clock: Callable[[], float] = time.monotonic, level: int = logging.WARNING
    ) -> None:
        self._log = log
        self._level = level
        self._clock = clock
        self._told: dict[str, tuple[float, int]] = {}

    def say(self, about: str, text: str, *values: object) -> None:
        """Say it, unless that was done a short time ago."""
        now = self._clock()
        at, more = self._told.get(about, (-EVERY, 0))
        if now - at < EVERY:
            self._told[about] = at, more + 1
            return
        if len(self._told) >= MOST:
            self._told.clear()
        self._told[about] = now, 0
        if more:
            text, values = f"{text} (%d more since the last line)", (*values, more)
        self._log.log(self._level, text, *values)
