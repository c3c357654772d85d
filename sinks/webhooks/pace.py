"""A lane's pace: rate limit, batches, and how much of a queue can be tried soon. Time is a parameter."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import ceil

from accounts.rates import TokenBucket
from schemas.records import EndpointConfig
from sinks.webhooks.delivery import Delivery, batch_of

SOON = 60.0
"""Seconds after which a deferred delivery returns with the usual delays; a delivery that would wait longer is
deferred."""

LEAST_SOON = 10.0
"""Minimum for that number. Deliveries deferred together return together: a queue sized for a shorter delay would defer
most of them again and again, at a greater cost than the requests."""

LEAST_QUEUE = 16
"""Deliveries that every lane may hold if they can be tried in time."""

PART_OF_ROOM = 0.5
"""Share of the sink's remaining room that one lane may take, so that some is left for others however many are slow."""

PART_OF_QUEUE = 0.25
"""Share of a lane's queue that deliveries from delay topics and replays may fill: they come in any number, and new
events would wait for hours behind a long backlog. Where new events fill the queue, it is added to it: retries would
wait for as long as more comes than the endpoint takes."""

PACE = 1_000.0
"""Events per second. If a full lane passes at least this many, the sink waits for a free place instead of deferring:
the endpoint is fast, only the backlog is long."""

BATCH_SECONDS = 1.0
"""Seconds that the first event of a batch waits for others."""

BATCH_BYTES = 256 << 10
"""Bytes at which a batch is full."""

SAVED = 0.1
"""Seconds' worth of a rate limit that can be saved up, so that a late wake-up costs no requests."""

LEAST_RATE, HIGHEST_RATE = 0.001, 1e6
"""Requests a second of the lowest and highest limit. Anything beyond is a mistake in the setting."""

LEAST_SHARE = 0.01
"""A process's share of a rate limit while it does not know its partitions yet."""


def queue_bound(seconds_each: float, cap: int, soon: float, room: float) -> float:
    """Return how many deliveries a lane may hold: those that `cap` concurrent requests complete in `soon` seconds at
    `seconds_each`, limited by the `room` left for all.

    While one waits, the offset of its partition stays, and whatever follows is repeated after a crash.
    """
    in_time = ceil(soon * cap / seconds_each)
    return max(min(in_time, PART_OF_ROOM * room), min(in_time, LEAST_QUEUE))


def keeps_pace(seconds_each: float, cap: int, gap: float) -> bool:
    """Whether enough events pass while waiting for an endpoint that gets every `gap`-th of them."""
    return gap * cap / seconds_each >= PACE


class Pace:
    """The pace according to one endpoint's settings. `share` is this process's share of every rate limit.

    An endpoint's events are spread over the partitions, so each process may use its share of the limit.
    """

    def __init__(self, config: EndpointConfig, share: Callable[[], float]) -> None:
        self._share = share
        self._limit: float | None = None
        self._bucket = TokenBucket()
        self.configure(config)

    def configure(self, config: EndpointConfig) -> None:
        """Apply new settings."""
        limit = None if config.rate_limit is None else min(max(LEAST_RATE, config.rate_limit), HIGHEST_RATE)
        if limit != self._limit:
            self._limit, self._bucket = limit, TokenBucket()  # the next turn by the old limit may be minutes away
        self._batch = max(config.batch_events, 1)
        self.plain = self._limit is None and self._batch == 1

    @property
    def rate(self) -> float | None:
        """Requests a second that this process may send. None: unlimited."""
        return None if self._limit is None else self._limit * max(self._share(), LEAST_SHARE)

    def seconds_each(self, latency: float, cap: int) -> float:
        """Return the seconds for which a delivery occupies one of `cap` concurrent requests."""
        if self.plain:
            return latency
        rate = self.rate
        return (latency if rate is None else max(latency, cap / rate)) / self._batch

    def limits(self, latency: float, cap: int) -> bool:
        """Whether the rate limit, and not the endpoint, holds the lane back."""
        rate = self.rate
        return rate is not None and cap / rate > latency

    def wait(self, ready: deque[Delivery], now: float) -> float:
        """Return the seconds until the head may be sent, 0 if now. `ready` must not be empty."""
        head = ready[0]
        if head.loose and len(ready) < self._batch:
            wait = head.queued_at + BATCH_SECONDS - now
            if wait > 0:
                return wait
        rate = self.rate
        return 0.0 if rate is None else self._bucket.take(now, rate, rate * SAVED)

    def take(self, ready: deque[Delivery]) -> Delivery:
        """Take the queue's head as a request, with the following deliveries that fit in the same one."""
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
