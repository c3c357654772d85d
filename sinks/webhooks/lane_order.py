"""The order of an endpoint's deliveries that wait in delay topics.

Marks are in ms on the wall clock, because they outlive the process. How long to wait for a delivery is measured on the
monotonic clock: setting the wall clock changes nothing.
"""

from __future__ import annotations

from bus.clock import Clock
from sinks.webhooks.contact_order import Behind
from sinks.webhooks.delivery import Delivery


class LaneOrder:
    """Which deliveries of a lane are deferred, and which others must not overtake them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._deferred = Behind()

    def __bool__(self) -> bool:
        return bool(self._deferred)

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
        self._deferred.put_off(delivery.slot, delivery.mark, now, until, delivery.sharers)

    def must_wait(self, delivery: Delivery) -> bool:
        """Whether a delivery would overtake an earlier one of its contact."""
        return delivery.keeps_order and self._deferred.must_wait(delivery.slot, delivery.mark, self._now)

    def passed(self, delivery: Delivery) -> None:
        """Note that a delivery is no longer deferred."""
        if delivery.mark is not None:
            self._deferred.passed(delivery.slot, delivery.mark, delivery.sharers)
            delivery.mark = None

    def ahead(self, delivery: Delivery) -> int:
        """Return about how many deferred ones share a delivery's rate and come before it."""
        return self._deferred.ahead(delivery.mark, self._now, delivery.sharers)
