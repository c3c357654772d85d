"""The order of an endpoint's deliveries that are elsewhere: in delay topics, or parked while the endpoint was paused.

A delivery gets its mark when its lane first takes or defers it, and keeps it until it is attempted, wherever it waits
in the meantime. Parked ones keep their order among themselves and with what was deferred before; events that happen
after the resume do not wait for them.

Marks are in ms on the wall clock, because they outlive the process. How long to wait for a delivery is measured on the
monotonic clock: setting the wall clock changes nothing.
"""

from __future__ import annotations

from bus.clock import Clock
from sinks.webhooks.contact_order import Behind, slot_of
from sinks.webhooks.delivery import Delivery

FOR_EVER = 1 << 62
"""Until when to wait for one that is parked: nobody knows when its endpoint is resumed."""

RETURN_MS = 3_600_000
"""How long after a resume all parked ones have returned: two waits of a quarter of an hour, and the time that a million
take (`sinks.webhooks.parked`)."""


class LaneOrder:
    """Which deliveries of a lane wait elsewhere, and which others must not overtake them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._deferred = Behind()
        self._parked = Behind(counts=False)
        self._returned = Behind(counts=False)
        """Those that were parked and are deferred now."""
        self._resumed = 0
        self._returned_at = FOR_EVER

    def __bool__(self) -> bool:
        return bool(self._deferred or self._parked or self._returned)

    @property
    def _now(self) -> int:
        return round(self._clock.monotonic() * 1000)

    def give_mark(self, delivery: Delivery) -> None:
        """Give a delivery its place, after all that have one."""
        if delivery.mark is None:
            delivery.mark = self._deferred.next_mark(self._clock.now_ms())

    def put_off(self, delivery: Delivery, due_at: int) -> None:
        """Note that a delivery with a mark returns at `due_at`, in ms since 1970 UTC."""
        assert delivery.mark is not None
        now = self._now
        until = now + due_at - self._clock.now_ms()
        self._deferred.put_off(_slot(delivery), delivery.mark, now, until, delivery.sharers)
        if delivery.parked_at is not None and delivery.keeps_order:
            self._parked.passed(delivery.slot, delivery.mark)
            self._returned.put_off(delivery.slot, delivery.mark, now, until)

    def park(self, delivery: Delivery) -> None:
        """Note that a delivery waits for its paused endpoint."""
        if not delivery.keeps_order:
            return
        now = self._now
        if now > self._returned_at:
            self._parked = Behind(counts=False)
        self._returned_at = FOR_EVER
        self.give_mark(delivery)
        assert delivery.mark is not None
        self._parked.put_off(delivery.slot, delivery.mark, now, FOR_EVER)

    def resumed(self) -> None:
        """Note that parked deliveries return from now on."""
        self._resumed = self._deferred.next_mark(self._clock.now_ms())
        self._returned_at = self._now + RETURN_MS

    def must_wait(self, delivery: Delivery) -> bool:
        """Whether a delivery would overtake an earlier one of its contact."""
        if not delivery.keeps_order:
            return False
        slot, now = delivery.slot, self._now
        if self._deferred.must_wait(slot, delivery.mark, now):
            return True
        is_new = delivery.mark is None or (delivery.parked_at is None and delivery.mark > self._resumed)
        if is_new:
            return False
        return self._returned.must_wait(slot, delivery.mark, now) or (
            now <= self._returned_at and self._parked.must_wait(slot, delivery.mark, now)
        )

    def passed(self, delivery: Delivery, *, parks: bool) -> None:
        """Note that a delivery with a mark is no longer deferred, nor, unless it `parks` now, parked."""
        assert delivery.mark is not None
        self._deferred.passed(_slot(delivery), delivery.mark, delivery.sharers)
        if delivery.parked_at is not None:
            self._returned.passed(delivery.slot, delivery.mark)
            if not parks:
                self._parked.passed(delivery.slot, delivery.mark)

    def ahead(self, delivery: Delivery) -> int:
        """Return about how many deferred ones share a delivery's rate and come before it."""
        return self._deferred.ahead(delivery.mark, self._now, delivery.sharers)

    def sweep(self) -> None:
        """Forget some of those that another process took. For lanes that get nothing more."""
        self._deferred.sweep(self._now)
        self._returned.sweep(self._now)

    def moved(self) -> None:
        """Forget who is parked, because partitions move: another process may get them."""
        self._parked = Behind(counts=False)
        self._returned = Behind(counts=False)


def _slot(delivery: Delivery) -> int:
    """Return the number of a deferred delivery. New ones do not wait for one that was parked."""
    return delivery.slot if delivery.parked_at is None else slot_of(None, delivery.event_id)
