"""The age of the console's picture of contacts: the moment up to which everything written has passed through.

    sms.raw -> receipts, inbound, messages, commands -> sms.contacts, trackly.losses -> the console's copies

A mark is a moment, with the ends of a stage's topics at that moment or later. Once the stage has read past a mark,
everything written before the moment is in the next stage's topics: their *current* ends become the next stage's mark of
the same moment. The result needs no clock but the console's own, and never runs ahead of the truth: a stalled worker
passes no mark.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from bus.clock import Moment

STAGES = (("raw",), ("receipts", "inbound", "messages", "commands"), ("contacts", "losses"))
"""Topics that each stage reads: normalize, contacts, and the console's copies."""

MAX_MARKS = 600
"""Marks that may wait in a stage. When full, no more are made, so that the first ones are still passed."""

Offsets = Mapping[tuple[str, int], int]
"""Offsets by topic name and partition."""


class Stage:
    """The marks of one stage, and the newest moment that it has passed."""

    def __init__(self) -> None:
        self.passed: Moment | None = None
        self._marks: deque[tuple[Moment, Offsets]] = deque()

    def mark(self, moment: Moment, ends: Offsets) -> None:
        """Add a mark: everything written before the moment is below these ends."""
        newest = self._marks[-1][0] if self._marks else self.passed
        if newest != moment and len(self._marks) < MAX_MARKS:
            self._marks.append((moment, ends))

    def advance(self, read: Offsets) -> None:
        """Note that the stage has read up to these offsets, and made the results durable."""
        while self._marks and all(read.get(place, 0) >= end for place, end in self._marks[0][1].items()):
            self.passed = self._marks.popleft()[0]


class Freshness:
    """The marks of all stages. `as_of` is the moment up to which the copy is complete."""

    def __init__(self) -> None:
        self._stages = tuple(Stage() for _ in STAGES)

    @property
    def as_of(self) -> Moment | None:
        """The newest moment such that everything written before it is in the copy. None: not known yet."""
        return self._stages[-1].passed

    def look(self, now: Moment, read: Offsets, ends: tuple[Offsets, ...]) -> None:
        """Record one observation: `read` was taken first, then `now`, then the `ends` of each stage's topics."""
        before: Moment | None = now
        for stage, stage_ends in zip(self._stages, ends, strict=True):
            if before is not None:
                stage.mark(before, stage_ends)
            # What was read before the ends were taken may reach them: at rest, one observation suffices.
            stage.advance(read)
            before = stage.passed
