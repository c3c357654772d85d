"""What of an endpoint waits in a delay topic without having been tried: nothing of the same contact may overtake it.

Pure; times are in ms since 1970 UTC. It is a memory of one process: a restart or a rebalance forgets it.

Each delivery that is put off has a mark, its place in the order: later ones have greater marks, and it keeps its mark
when it is put off again. So one that comes back goes on unless an earlier one of its contact is still out, and a new
one goes on only if none is. When more wait than can be remembered one by one, the rest are counted by the second of
their marks, for all contacts together: then a delivery also waits for those of other contacts, but none overtakes.
"""

from __future__ import annotations

REMEMBERED = 5_000
"""Deliveries that a lane remembers one by one."""

GRACE_MS = 30_000
"""How long after it was due a delivery is waited for: another process may have taken it."""

SECOND_MS = 1_000


class _Second:
    """Deliveries whose marks lie in one second: how many are out, until when they are waited for at most.

    `again` is the least mark of those that were put off again: greater ones let it go first. What a contact has in one
    second comes back within about one, so when that one goes on, those that come back soon after are put off like the
    one before them may have been: until `held`.
    """

    __slots__ = ("again", "again_at", "count", "held", "until")

    def __init__(self) -> None:
        self.count = 0
        self.until = 0
        self.again: int | None = None
        self.again_at = 0
        self.held = 0


class Behind:
    """The deliveries of one endpoint that wait in a delay topic."""

    def __init__(self) -> None:
        self._contacts: dict[str, dict[int, int]] = {}
        self._remembered = 0
        self._crowd: dict[int, _Second] = {}
        self._mark = 0
        self._swept_at = 0

    def __bool__(self) -> bool:
        return bool(self._contacts or self._crowd)

    def next_mark(self, now: int) -> int:
        """The mark of a delivery that is put off for the first time."""
        self._mark = max(now, self._mark + 1)
        return self._mark

    def put_off(self, contact: str, mark: int, now: int, due_at: int, *, again: bool = False) -> None:
        """A delivery of this contact waits until `due_at`; `again`: it had come back."""
        until = due_at + GRACE_MS
        second = self._crowd.get(mark // SECOND_MS)
        if mark in self._contacts.get(contact, ()):
            self._contacts[contact][mark] = until
        elif second is None and not self._crowd and self._has_room(now):
            self._contacts.setdefault(contact, {})[mark] = until
            self._remembered += 1
        else:
            self._add_to_crowd(second, mark, now, until, again)

    def must_wait(self, contact: str, mark: int | None, now: int) -> bool:
        """Whether a delivery would overtake one that waits. `mark` is None for one that was never put off."""
        return self._waits_for_its_own(contact, mark, now) or self._waits_for_the_crowd(mark, now)

    def passed(self, contact: str, mark: int, now: int) -> None:
        """A delivery that had been put off waits no longer: it was queued, or is given up."""
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
                del self._crowd[mark // SECOND_MS]

    def _waits_for_its_own(self, contact: str, mark: int | None, now: int) -> bool:
        waiting = self._contacts.get(contact)
        if waiting is None:
            return False
        return any((mark is None or other < mark) and now <= until for other, until in waiting.items())

    def _waits_for_the_crowd(self, mark: int | None, now: int) -> bool:
        while self._crowd:
            first = next(iter(self._crowd))
            second = self._crowd[first]
            if now <= second.until:
                break
            del self._crowd[first]
        else:
            return False
        if mark is None or first < mark // SECOND_MS:
            return True
        if first > mark // SECOND_MS:
            return False
        return now < second.held if second.again is None else second.again < mark

    def _add_to_crowd(self, second: _Second | None, mark: int, now: int, until: int, again: bool) -> None:
        if second is None:
            second = self._crowd[mark // SECOND_MS] = _Second()
            second.count = 1
            if again:  # from before a restart, or it was remembered one by one
                self._crowd = dict(sorted(self._crowd.items()))
        elif not again:
            second.count += 1
        second.until = max(second.until, until)
        if again:
            second.again = mark if second.again is None else min(second.again, mark)
            second.again_at = now

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
