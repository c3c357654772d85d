"""Contacts of whom a delivery was put off without an attempt: what comes after it must not overtake it.

Pure; times are in ms since 1970 UTC. It is a memory of one process: a restart or a rebalance forgets it.
"""

from __future__ import annotations

from typing import NamedTuple

CONTACTS = 5_000
"""Contacts that a lane remembers; beyond that, the oldest is forgotten."""

GRACE_MS = 3_000
"""How long after it was due the first delivery is waited for."""

LONGEST_MS = 10 * 60_000
"""How long a contact's deliveries are put off one for another's sake. A contact with an event a minute would
otherwise stay late for ever."""


class _PutOff(NamedTuple):
    first_at: int
    last_at: int
    until: int


class Behind:
    """The contacts of one endpoint whose deliveries wait in a delay topic."""

    def __init__(self) -> None:
        self._contacts: dict[str, _PutOff] = {}

    def __bool__(self) -> bool:
        return bool(self._contacts)

    def put_off(self, contact: str, now: int, due_at: int) -> None:
        """A delivery of this contact waits until `due_at`."""
        earlier = self._contacts.pop(contact, None)
        first_at = now if earlier is None or now > earlier.until else earlier.first_at
        self._contacts[contact] = _PutOff(first_at, now, due_at + GRACE_MS)
        if len(self._contacts) > CONTACTS:
            del self._contacts[next(iter(self._contacts))]

    def must_wait(self, contact: str | None, was_due_at: int, now: int) -> bool:
        """Whether a delivery would overtake one that waits. `was_due_at` is 0 for one that never waited.

        One that has waited itself is only behind those that were put off again after it had become due.
        """
        if contact is None or (other := self._contacts.get(contact)) is None:
            return False
        if now > other.until or now - other.first_at > LONGEST_MS:
            del self._contacts[contact]
            return False
        return other.last_at >= was_due_at
