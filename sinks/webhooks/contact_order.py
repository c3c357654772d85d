"""Tracks an endpoint's deferred deliveries, so that none of the same contact overtakes another.

Pure; times are in ms since 1970 UTC. It is local to one process: a restart or rebalance clears it.

Each deferred delivery has a mark, its place in the order: later ones have greater marks, and a delivery keeps its mark
when deferred again. A returning delivery proceeds unless an earlier one of its contact is still out; a new one proceeds
only if none is. If more wait than can be remembered individually, the rest are a crowd, counted by the second of their
marks, across contacts: then a delivery of one of these contacts also waits for those of the others, but none overtakes.
A contact that has nothing in the crowd does not wait for it. Otherwise, everything new would join the crowd, which
would never end while events keep coming, and the endpoint would stay behind forever.
"""

from __future__ import annotations

REMEMBERED = 5_000
"""Deliveries that a lane remembers individually."""

CROWDED = 100_000
"""Contacts of a crowd that a lane remembers, at about 100 bytes each. While there are more, the rest wait for it."""

GRACE_MS = 30_000
"""How long to wait for a delivery after it was due: another process may have taken it."""

SECOND_MS = 1_000


class _Second:
    """Deliveries with marks in the same second: how many are out, and until when to wait for them.

    `again` is the lowest mark of those deferred again; greater ones let it go first. A contact's deliveries of one
    second return within about a second, so when this one proceeds, those returning soon after are deferred, as the one
    before them may have been: until `held`.
    """

    __slots__ = ("again", "again_at", "count", "held", "until")

    def __init__(self) -> None:
        self.count = 0
        self.until = 0
        self.again: int | None = None
        self.again_at = 0
        self.held = 0


class Behind:
    """An endpoint's deliveries in delay topics."""

    def __init__(self) -> None:
        self._contacts: dict[str, dict[int, int]] = {}
        self._remembered = 0
        self._crowd: dict[int, _Second] = {}
        self._crowded: dict[int, int] = {}
        """By hash of a contact: the last second in which it joined the crowd."""
        self._unknown = 0
        """The last second in which a contact joined that is not among them."""
        self._mark = 0
        self._swept_at = self._crowd_swept_at = 0

    def __bool__(self) -> bool:
        return bool(self._contacts or self._crowd)

    def next_mark(self, now: int) -> int:
        """Return the mark for a delivery that is deferred for the first time."""
        self._mark = max(now, self._mark + 1)
        return self._mark

    def put_off(self, contact: str, mark: int, now: int, due_at: int, *, again: bool = False) -> None:
        """Note that a contact's delivery waits until `due_at`; `again`: it had returned before."""
        until = due_at + GRACE_MS
        second = self._crowd.get(mark // SECOND_MS)
        if mark in self._contacts.get(contact, ()):
            self._contacts[contact][mark] = until
        elif second is None and not self._crowd and self._has_room(now):
            self._contacts.setdefault(contact, {})[mark] = until
            self._remembered += 1
        else:
            self._add_to_crowd(second, mark, now, until, again)
            self._remember_crowded(contact, mark // SECOND_MS, now)

    def must_wait(self, contact: str, mark: int | None, now: int) -> bool:
        """Whether a delivery would overtake a waiting one. `mark` is None for one that was never deferred."""
        return self._waits_for_its_own(contact, mark, now) or self._waits_for_the_crowd(contact, mark, now)

    def passed(self, contact: str, mark: int, now: int) -> None:
        """Note that a deferred delivery no longer waits: it was queued or given up."""
        waiting = self._contacts.get(contact, {})
        if waiting.pop(mark, None) is not None:
            self._remembered -= 1
            if not waiting:
                del self._contacts[contact]
        elif (second := self._crowd.get(mark // SECOND_MS)) is not None:
            second.count -= 1
            if second.again == mark:
                second.again = None
                second.held = second.again_at + 2 * SECOND_MS
            if second.count <= 0:
                self._end(mark // SECOND_MS)

    def _waits_for_its_own(self, contact: str, mark: int | None, now: int) -> bool:
        waiting = self._contacts.get(contact)
        if waiting is None:
            return False
        return any((mark is None or other < mark) and now <= until for other, until in waiting.items())

    def _waits_for_the_crowd(self, contact: str, mark: int | None, now: int) -> bool:
        while self._crowd:
            first = next(iter(self._crowd))
            second = self._crowd[first]
            if now <= second.until:
                break
            self._end(first)
        else:
            return False
        if mark is None:
            return first <= max(self._crowded.get(hash(contact), 0), self._unknown)
        if first < mark // SECOND_MS:
            return True
        if first > mark // SECOND_MS:
            return False
        return now < second.held if second.again is None else second.again < mark

    def _add_to_crowd(self, second: _Second | None, mark: int, now: int, until: int, again: bool) -> None:
        if second is None:
            second = self._crowd[mark // SECOND_MS] = _Second()
            second.count = 1
            if again:  # from before a restart, or remembered individually
                self._crowd = dict(sorted(self._crowd.items()))
        elif not again:
            second.count += 1
        second.until = max(second.until, until)
        if again:
            second.again = mark if second.again is None else min(second.again, mark)
            second.again_at = now

    def _remember_crowded(self, contact: str, second: int, now: int) -> None:
        known = self._crowded.get(hash(contact))
        if known is None and len(self._crowded) >= CROWDED and now - self._crowd_swept_at >= SECOND_MS:
            self._crowd_swept_at, first = now, next(iter(self._crowd))
            self._crowded = {key: last for key, last in self._crowded.items() if last >= first}
        if known is not None or len(self._crowded) < CROWDED:
            self._crowded[hash(contact)] = max(second, known or 0)
        else:
            self._unknown = max(self._unknown, second)

    def _end(self, second: int) -> None:
        """Forget a second of the crowd."""
        del self._crowd[second]
        if not self._crowd:
            self._crowded.clear()
            self._unknown = 0

    def _has_room(self, now: int) -> bool:
        if self._remembered >= REMEMBERED and now - self._swept_at >= SECOND_MS:
            self._swept_at = now
            for contact, waiting in list(self._contacts.items()):
                left = {mark: until for mark, until in waiting.items() if now <= until}
                self._remembered -= len(waiting) - len(left)
                if left:
                    self._contacts[contact] = left
                else:
                    del self._contacts[contact]
        return self._remembered < REMEMBERED
