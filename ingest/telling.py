"""Rate-limits log lines that strangers can trigger at will."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

EVERY = 60.0
"""Seconds between two lines on the same subject."""

MOST = 1_000
"""Maximum subjects that are remembered."""


class Seldom:
    """Logs each subject once in a while, with the number of occurrences in between."""

    def __init__(
        self, log: logging.Logger, clock: Callable[[], float] = time.monotonic, level: int = logging.WARNING
    ) -> None:
        self._log = log
        self._level = level
        self._clock = clock
        self._told: dict[str, tuple[float, int]] = {}

    def say(self, about: str, text: str, *values: object) -> None:
        """Log it, unless that was done recently."""
        now = self._clock()
        at, more = self._told.get(about, (-EVERY, 0))
        if now - at < EVERY:
            self._told[about] = at, more + 1
            return
        if len(self._told) >= MOST:
            self._told.clear()
        self._told[about] = now, 0
        if more:
            text, values = f"{text} (and %d more since the last line)", (*values, more)
        self._log.log(self._level, text, *values)
