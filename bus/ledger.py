"""Offset bookkeeping for one partition: which offset may come next, and up to where everything is durable.

Pure data, no Kafka. A ledger lasts from the assignment of its partition to the revocation; a batch that outlives the
assignment settles into a ledger that nobody reads any more.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from heapq import heappop, heappush
from typing import NamedTuple


class TopicPartition(NamedTuple):
    """Topic name and partition number."""

    topic: str
    partition: int


class OffsetVerdict(Enum):
    """The verdict on a record that arrived."""

    ADMIT = "process it"
    DUPLICATE = "already admitted: drop it"
    GAP = "something before it is missing: skipped by the reader, or not a record"


class SkippedOffsets(RuntimeError):
    """Offsets before the durable ones were taken but never settled: they must be read again."""


class Ledger:
    """Admission and durability of one partition during one assignment.

    `expected` is the only offset admitted next. `durable` may be committed: every admitted offset below it has settled.
    `committed` is the last offset that the broker confirmed.
    """

    __slots__ = ("_empty", "_settled", "committed", "durable", "expected", "generation", "revoked", "tp")

    def __init__(self, tp: TopicPartition, start: int, generation: int) -> None:
        self.tp = tp
        self.expected = start
        self.durable = start
        self.committed = start
        self.generation = generation
        self.revoked = False
        self._settled: list[int] = []
        # Runs of offsets without records behind admitted ones: the first, and the one after the last.
        self._empty: deque[tuple[int, int]] = deque()

    def admit(self, offset: int) -> OffsetVerdict:
        """Judge a record by its offset; if admitted, expect the next one."""
        if offset == self.expected:
            self.expected = offset + 1
            return OffsetVerdict.ADMIT
        return OffsetVerdict.DUPLICATE if offset < self.expected else OffsetVerdict.GAP

    def pass_over(self, offset: int) -> None:
        """Expect this offset next: the broker has no records before it. Transactions leave such offsets."""
        if offset <= self.expected:
            return
        self._empty.append((self.expected, offset))
        self.expected = offset
        self._advance(self.durable)

    def settle(self, offset: int) -> None:
        """Mark this offset as settled: everything that follows from it is durable. Offsets may settle in any order."""
        if offset < self.durable:
            return
        heappush(self._settled, offset)
        while self._settled and self._settled[0] <= self.durable:
            self._advance(heappop(self._settled) + 1)

    def settle_run(self, first: int, last: int) -> None:
        """Mark a run of admitted offsets as settled, for loops that settle in order.

        Raises SkippedOffsets if an earlier offset has not settled, because a commit would skip it.
        """
        if first > self.durable:
            raise SkippedOffsets(
                f"{self.tp.topic}[{self.tp.partition}]: offsets {first} to {last} are done, but {self.durable} is not"
            )
        self._advance(last + 1)

    def jump(self, offset: int) -> int:
        """Continue at a later offset because the log has lost the expected one; returns how many records are gone."""
        gone = offset - self.expected
        self.expected = offset
        if self.durable < offset:
            self._settled.clear()
            self._empty.clear()
            self.durable = offset
        return gone

    def _advance(self, offset: int) -> None:
        self.durable = max(self.durable, offset)
        while self._empty and self._empty[0][0] <= self.durable:
            self.durable = max(self.durable, self._empty.popleft()[1])
