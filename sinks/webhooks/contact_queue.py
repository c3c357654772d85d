"""The queue of a lane: deliveries in the order in which they may go."""

from __future__ import annotations

from collections import deque

from sinks.webhooks.delivery import Delivery


class ContactQueue:
    """Deliveries that wait for their turn; its length is their number.

    Of the deliveries of one contact one is ready or under way at a time, in the order in which they were added.
    """

    def __init__(self) -> None:
        self.ready: deque[Delivery] = deque()
        """Those that may go: take them from the left, and `release` each when it has gone."""
        self.behind = 0
        """Those that wait for another one of their contact."""
        # Contacts with a delivery that is ready or under way, and their further deliveries.
        self._contacts: dict[str, deque[Delivery] | None] = {}

    def __len__(self) -> int:
        return len(self.ready) + self.behind

    def add(self, delivery: Delivery) -> None:
        """Queue a delivery, behind those of its contact."""
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
        """The delivery is no longer under way: the next one of its contact is ready."""
        contact = delivery.contact
        if contact is None:
            return
        waiting = self._contacts[contact]
        if waiting:
            # In front: it has waited at least as long as what came after it.
            self.ready.appendleft(waiting.popleft())
            self.behind -= 1
        else:
            del self._contacts[contact]

    def emptied(self) -> list[Delivery]:
        """All that waited, each contact's in its order. What is under way is still to be released."""
        found: list[Delivery] = []
        for delivery in self.ready:
            found.append(delivery)
            if delivery.contact is not None:
                found.extend(self._contacts.pop(delivery.contact) or ())
        for contact, others in self._contacts.items():
            found.extend(others or ())
            self._contacts[contact] = None  # the first one is under way
        self.ready.clear()
        self.behind = 0
        return found
