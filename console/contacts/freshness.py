"""How old the console's picture of contacts is: a moment up to which everything written has gone through.

    sms.raw -> receipts, inbound, messages, commands -> sms.contacts -> the console's copy

A mark is a moment and where a stage's topics ended at that moment or later. Once the stage has read past a mark,
everything that was written before the moment is in the topics of the next stage: where those end *now* makes the next
stage's mark of the same moment. What comes out at the end needs no clock but the console's own, and cannot be ahead of
the truth: a worker that stands still reads past no mark.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from bus.clock import Moment

STAGES = (("raw",), ("receipts", "inbound", "messages", "commands"), ("contacts",))
"""Topics that each stage reads: normalize, contacts, and the console's copy."""

MAX_MARKS = 600
"""Marks that wait in a stage. Once it is full no more are made, so that the first ones are still passed."""

Offsets = Mapping[tuple[str, int], int]
"""Offsets by topic name and partition."""


class Stage:
    """Marks of one stage, and the newest moment that it has passed."""

    def __init__(self) -> None:
        self.passed: Moment | None = None
        self._marks: deque[tuple[Moment, Offsets]] = deque()

    def mark(self, moment: Moment, ends: Offsets) -> None:
        """Everything written before the moment lies below these ends."""
        newest = self._marks[-1][0] if self._marks else self.passed
        if newest != moment and len(self._marks) < MAX_MARKS:
            self._marks.append((moment, ends))

    def advance(self, read: Offsets) -> None:
        """The stage has read, and made durable what follows, up to these offsets."""
        while self._marks and all(read.get(place, 0) >= end for place, end in self._marks[0][1].items()):
            self.passed = self._marks.popleft()[0]


class Freshness:
    """Marks of all stages. Ask `as_of` for the moment up to which the copy is complete."""

    def __init__(self) -> None:
        self._stages = tuple(Stage() for _ in STAGES)

    @property
    def as_of(self) -> Moment | None:
        """The newest moment such that everything written before it is in the copy. None: not known yet."""
        return self._stages[-1].passed

    def look(self, now: Moment, read: Offsets, ends: tuple[Offsets, ...]) -> None:
        """Take one look: `read` was taken first, then `now`, then the `ends` of each stage's topics."""
        before: Moment | None = now
        for stage, stage_ends in zip(self._stages, ends, strict=True):
            if before is not None:
                stage.mark(before, stage_ends)
            # What was read before the ends were looked at may reach them: at rest one look tells.
            stage.advance(read)
            before = stage.passed
