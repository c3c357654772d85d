"""Shows the progress of long work on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

EVERY = 10.0
"""Seconds between two lines if standard error is not a terminal; on a terminal, the line is overwritten often."""

_OFTEN = 0.2


class Progress:
    """Call `tell` as often as you like with the amount done, or `add` with the increase, and `end` at the end.

    `total` has the same unit; 0: unknown.
    """

    def __init__(self, what: str, total: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._total = total
        self._clock = clock
        self._began = clock()
        self._told = self._began
        self._in_place = sys.stderr.isatty()
        self._added = 0

    def tell(self, done: int, note: str = "") -> None:
        """Write a line if one is due."""
        now = self._clock()
        if now - self._told < (_OFTEN if self._in_place else EVERY):
            return
        self._told = now
        share = f" ({done * 100 // self._total} %)" if self._total else ""
        rate = done / max(now - self._began, 0.001)
        line = f"{self._what}: {done:,}{share}, {rate:,.0f}/s{', ' + note if note else ''}"
        print(f"\r\x1b[K{line}" if self._in_place else line, end="" if self._in_place else "\n", file=sys.stderr)
        sys.stderr.flush()

    def add(self, done: int) -> None:
        """Add to the amount done, and write a line if one is due."""
        self._added += done
        self.tell(self._added)

    def end(self) -> None:
        """Move on from the overwritten line."""
        if self._in_place:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
