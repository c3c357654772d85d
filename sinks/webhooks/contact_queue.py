"""A lane's queue: deliveries in the order they may be sent."""

from __future__ import annotations

from bisect import insort
from collections import deque

from sinks.webhooks.delivery import Delivery


class ContactQueue:
    """Deliveries that wait for their turn; its length is their number.

    Of each contact's deliveries, one at a time is ready or in progress, in the order in which they were added.
    """

    def __init__(self) -> None:
        self.ready: deque[Delivery] = deque()
        """Those that may be sent: take them from the left, and `release` each afterwards."""
        self.behind = 0
        """Number of deliveries waiting for another one of their contact."""
        # Contacts with a delivery that is ready or in progress, and their further deliveries.
        self._contacts: dict[str, deque[Delivery] | None] = {}

    def __len__(self) -> int:
        return len(self.ready) + self.behind

    def add(self, delivery: Delivery) -> None:
        """Queue a delivery after those of its contact."""
        contact = delivery.contact
        if contact is None:
            self.ready.append(delivery)
        elif contact not in self._contacts:
            self._contacts[contact] = None
            self.ready.append(delivery)
        else:
            self.behind += 1
            waiting = self._contacts[contact]
            if waiting is None:
                self._contacts[contact] = deque((delivery,))
            else:
                waiting.append(delivery)

    def release(self, delivery: Delivery) -> None:
        """Mark a delivery as no longer in progress: its contact's next one becomes ready, in the place of its arrival.
        In front of all others, a contact with ever more events would keep its endpoint from them."""
        contact = delivery.contact
        if contact is None:
            return
        waiting = self._contacts[contact]
        if waiting:
            following = waiting.popleft()
            if self.ready and following.queued_at > self.ready[0].queued_at:
                insort(self.ready, following, key=_queued_at)
            else:
                self.ready.appendleft(following)
            self.behind -= 1
        else:
            del self._contacts[contact]

    def emptied(self) -> list[Delivery]:
        """Remove and return all waiting deliveries, in order per contact. Those in progress must still be released."""
        found: list[Delivery] = []
        for delivery in self.ready:
            found.append(delivery)
            if delivery.contact is not None:
                found.extend(self._contacts.pop(delivery.contact) or ())
        for contact, others in self._contacts.items():
            found.extend(others or ())
            self._contacts[contact] = None  # the first one is in progress
        self.ready.clear()
        self.behind = 0
        return found


def _queued_at(delivery: Delivery) -> float:
    return delivery.queued_at
