"""Tracks an endpoint's deferred deliveries, so that none of the same contact overtakes another, and counts those ahead.

Pure; times are in ms of any clock, marks in ms since 1970 UTC. It is local to one process: a restart clears it.

Each deferred delivery has a mark, its place in the order: later ones have greater marks, and a delivery keeps its mark
when deferred again. A returning delivery proceeds unless an earlier one of its contact is still out; a new one proceeds
only if none is. A contact with nothing out waits for nobody: otherwise, everything new would be deferred behind a
backlog, which would never end while events keep coming. Retries, and deliveries without a contact, keep no order; they
have marks only to be counted.

Memory is bounded: once deliveries of FEW contacts are out, only 16 bits of further contacts are remembered, and then a
contact also waits for a few others, as if they were one. A remembered delivery takes 16 bytes, a contact 350.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from zlib import crc32

FEW = 100_000
"""Contacts that a lane remembers one by one."""

SHARED = 1 << 16
"""Numbers that stand for all further contacts."""

REMEMBERED = 1_000_000
"""Deliveries that a lane remembers. Further ones are deferred like them, but may be overtaken."""

GRACE_MS = 30_000
"""How long to wait for a delivery after it was due: another process may have taken it."""

SECOND_MS = 1_000


def slot_of(contact: str | None, event_id: str) -> int:
    """Return the number that stands for a contact, or, without one, a negative number for the event: it waits for
    nobody, and nobody for it."""
    if contact is None:
        return -1 - crc32(event_id.encode()) % SHARED
    return crc32(contact.encode())


def _places(number: int) -> tuple[int, ...]:
    """Return where deliveries of a number may be: under it, or among further contacts."""
    return (number,) if number < 0 else (number, (1 << 32) + number % SHARED)


class _Slot:
    """Deliveries with the same number: their marks, ascending, and until when to wait for each."""

    __slots__ = ("marks", "until")

    def __init__(self) -> None:
        self.marks = array("q")
        self.until = array("q")

    def add(self, mark: int, until: int) -> None:
        index = bisect_left(self.marks, mark)
        self.marks.insert(index, mark)
        self.until.insert(index, until)

    def find(self, mark: int) -> int | None:
        """Return the index of a mark, None if it is not remembered."""
        index = bisect_left(self.marks, mark)
        return index if index < len(self.marks) and self.marks[index] == mark else None

    def remove(self, index: int) -> None:
        del self.marks[index], self.until[index]

    def has_earlier(self, mark: int | None, now: int) -> bool:
        """Whether one is out that comes before `mark`; None comes after all."""
        end = len(self.marks) if mark is None else bisect_left(self.marks, mark)
        return any(now <= self.until[index] for index in range(end))

    def expire(self, now: int) -> int:
        """Forget those that nobody waits for any more; returns how many."""
        expired = [index for index, until in enumerate(self.until) if until < now]
        for index in reversed(expired):
            self.remove(index)
        return len(expired)


class _Queue:
    """How many deliveries with the same rate are out, by the second of their marks."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._until: dict[int, int] = {}
        self._count = 0
        self._seconds: list[int] = []
        self._ahead = [0]
        self._looked_at = -SECOND_MS

    def add(self, mark: int, until: int, by: int) -> None:
        second = mark // SECOND_MS
        self._count += by
        self._counts[second] = self._counts.get(second, 0) + by
        self._until[second] = max(until, self._until.get(second, 0))

    def remove(self, mark: int) -> None:
        second = mark // SECOND_MS
        if self._counts.get(second):
            self._count -= 1
            self._counts[second] -= 1

    def ahead(self, mark: int | None, now: int) -> int:
        """Return how many there are (None), or how many with marks of earlier seconds, as of a second ago at most."""
        if not 0 <= now - self._looked_at < SECOND_MS:
            self._look(now)
        return self._count if mark is None else self._ahead[bisect_left(self._seconds, mark // SECOND_MS)]

    def _look(self, now: int) -> None:
        self._looked_at = now
        self._until = {second: until for second, until in self._until.items() if now <= until}
        self._counts = {second: count for second, count in self._counts.items() if count and second in self._until}
        self._seconds = sorted(self._counts)
        self._ahead = [0, *accumulate(self._counts[second] for second in self._seconds)]
        self._count = self._ahead[-1]


class Behind:
    """An endpoint's deliveries in delay topics.

    `sharers` stand for those that are sent at the same rate, one after the other: a list with a rate limit of its own,
    replays, or None for all others (`Delivery.sharers`). Unless it `counts`, nobody asks for those `ahead`.
    """

    def __init__(self, *, counts: bool = True) -> None:
        self._is_counted = counts
        self._slots: dict[int, _Slot] = {}
        self._queues: dict[str | None, _Queue] = {}
        self._count = 0
        self._mark = 0
        self._sweep: Iterator[int] = iter(())

    def __bool__(self) -> bool:
        return bool(self._slots)

    def next_mark(self, now: int) -> int:
        """Return the mark for a delivery that is deferred for the first time."""
        self._mark = max(now, self._mark + 1)
        return self._mark

    def put_off(self, number: int, mark: int, now: int, due_at: int, sharers: str | None = None) -> None:
        """Note that a delivery waits until `due_at`, whether or not for the first time. `number` is its `slot_of`."""
        self.sweep(now)
        until = due_at + GRACE_MS
        for slot in self._slots_of(number):
            if (index := slot.find(mark)) is not None:
                slot.until[index] = until
                self._count_in(sharers, mark, until, 0)
                return
        if self._count < REMEMBERED:
            is_own = number in self._slots or len(self._slots) < FEW
            self._slots.setdefault(number if is_own else _places(number)[-1], _Slot()).add(mark, until)
            self._count_in(sharers, mark, until, 1)
            self._count += 1

    def must_wait(self, number: int, mark: int | None, now: int) -> bool:
        """Whether a delivery would overtake a waiting one. `mark` is None for one that was never deferred."""
        self.sweep(now)
        return any(slot.has_earlier(mark, now) for slot in self._slots_of(number))

    def passed(self, number: int, mark: int, sharers: str | None = None) -> None:
        """Note that a deferred delivery no longer waits: it was queued or given up."""
        for each in _places(number):
            slot = self._slots.get(each)
            if slot is not None and (index := slot.find(mark)) is not None:
                slot.remove(index)
                self._count -= 1
                if not slot.marks:
                    del self._slots[each]
                if (queue := self._queues.get(sharers)) is not None:
                    queue.remove(mark)
                return

    def ahead(self, mark: int | None, now: int, sharers: str | None = None) -> int:
        """Return about how many wait that share a delivery's rate and come before it. `mark` is as in `must_wait`."""
        queue = self._queues.get(sharers)
        return 0 if queue is None else queue.ahead(mark, now)

    def _count_in(self, sharers: str | None, mark: int, until: int, by: int) -> None:
        if self._is_counted:
            self._queues.setdefault(sharers, _Queue()).add(mark, until, by)

    def _slots_of(self, number: int) -> list[_Slot]:
        return [self._slots[each] for each in _places(number) if each in self._slots]

    def sweep(self, now: int) -> None:
        """Forget what another process took, of one slot after the other: all at once would take too long."""
        number = next(self._sweep, None)
        if number is None:
            self._sweep = iter(list(self._slots))
        elif (slot := self._slots.get(number)) is not None:
            self._count -= slot.expire(now)
            if not slot.marks:
                del self._slots[number]
