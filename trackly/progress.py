"""How far long work has come, on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

EVERY = 10.0
"""Seconds between two lines where standard error is not a terminal; there the line is written over, often."""

_OFTEN = 0.2


class Progress:
    """Call `tell` as often as you like with how much is done, or `add` with how much more; `end` at the end.

    `total` is of the same unit; 0 where nobody knows it.
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
        """Write a line, if it is time for one."""
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
        """Count on from what was added before, and write a line, if it is time for one."""
        self._added += done
        self.tell(self._added)

    def end(self) -> None:
        """Leave the line that was written over."""
        if self._in_place:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
