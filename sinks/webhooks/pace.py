"""How fast a lane may go: rate limit, batches, and how much of a queue can be tried soon. Time is a parameter."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import ceil

from accounts.rates import TokenBucket
from schemas.records import EndpointConfig
from sinks.webhooks.delivery import Delivery, batch_of

SOON = 60.0
"""Seconds after which a delivery that is put off comes again, by the usual delays: what would wait longer for its
endpoint is put off."""

LEAST_SOON = 10.0
"""The least that these seconds are taken for. What was put off together comes again together: a queue of no more than a
short delay's worth would turn most of it down again and again, at a greater cost than that of the requests."""

LEAST_QUEUE = 16
"""Deliveries that every lane may hold."""

PART_OF_ROOM = 0.5
"""Part of what the sink may still hold that one lane may hold: however many are slow, some room is left for others."""

PACE = 1_000.0
"""Events per second. While a full lane lets at least so many pass, the sink waits for its next free place
instead of deferring: the endpoint is fast, only the backlog is long."""

BATCH_SECONDS = 1.0
"""How long the first event of a batch waits for others."""

BATCH_BYTES = 256 << 10
"""A batch that has become so large takes no further event."""

SAVED = 0.1
"""Seconds for which requests that a rate limit allows are saved, so that a late wake-up costs none."""

LEAST_RATE, HIGHEST_RATE = 0.001, 1e6
"""Requests a second of the lowest and the highest limit. What is beyond is a mistake of whoever wrote the setting."""

LEAST_SHARE = 0.01
"""Share of a rate limit that a process has while it does not know its partitions yet."""


def queue_bound(seconds_each: float, cap: int, soon: float, room: float) -> float:
    """Deliveries that a lane may hold: those that `cap` requests at a time get through in `soon` seconds, when each
    occupies one for `seconds_each`, and not too many for the `room` that is left for all.
    """
    return max(min(ceil(soon * cap / seconds_each), PART_OF_ROOM * room), LEAST_QUEUE)


def keeps_pace(seconds_each: float, cap: int, gap: float) -> bool:
    """Whether enough events pass while an endpoint that gets every `gap`-th of them is waited for."""
    return gap * cap / seconds_each >= PACE


class Pace:
    """What one endpoint's settings say of the pace. `share` is this process's share of every rate limit.

    The events of one endpoint are spread over the partitions, so each process may send as much of the limit as it
    owns of the partitions.
    """

    def __init__(self, config: EndpointConfig, share: Callable[[], float]) -> None:
        self._share = share
        self._bucket = TokenBucket()
        self.configure(config)

    def configure(self, config: EndpointConfig) -> None:
        """Use new settings from now on."""
        limit = config.rate_limit
        self._limit = None if limit is None else min(max(LEAST_RATE, limit), HIGHEST_RATE)
        self._batch = max(config.batch_events, 1)
        self.plain = self._limit is None and self._batch == 1

    @property
    def rate(self) -> float | None:
        """Requests a second that this process may send. None: any number."""
        return None if self._limit is None else self._limit * max(self._share(), LEAST_SHARE)

    def seconds_each(self, latency: float, cap: int) -> float:
        """Seconds for which a delivery occupies one of `cap` requests at a time."""
        if self.plain:
            return latency
        rate = self.rate
        return (latency if rate is None else max(latency, cap / rate)) / self._batch

    def limits(self, latency: float, cap: int) -> bool:
        """Whether it is the rate limit that holds the lane back, and not the endpoint's answers."""
        rate = self.rate
        return rate is not None and cap / rate > latency

    def wait(self, ready: deque[Delivery], now: float) -> float:
        """Seconds until the head may go, 0 when it may go now. `ready` is not empty."""
        head = ready[0]
        if head.loose and len(ready) < self._batch:
            wait = head.queued_at + BATCH_SECONDS - now
            if wait > 0:
                return wait
        rate = self.rate
        return 0.0 if rate is None else self._bucket.take(now, rate, rate * SAVED)

    def take(self, ready: deque[Delivery]) -> Delivery:
        """The head of the queue as a request, with those after it that go in the same one."""
        head = ready.popleft()
        if not head.loose:
            return head
        parts, size = [head], len(head.body)
        while ready and len(parts) < self._batch and size < BATCH_BYTES and _goes_with(ready[0], head):
            parts.append(ready.popleft())
            size += len(parts[-1].body)
        return batch_of(parts)


def _goes_with(delivery: Delivery, head: Delivery) -> bool:
    return delivery.loose and delivery.content_type == head.content_type
