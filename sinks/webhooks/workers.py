"""A lane's requests: a limited number at a time, and no faster than the endpoint asks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from outbound.outcomes import Outcome
from schemas.records import EndpointConfig
from sinks.webhooks.contact_queue import ContactQueue
from sinks.webhooks.delivery import Delivery
from sinks.webhooks.lane_setup import LaneSetup
from sinks.webhooks.pace import Pace

FIRST_LATENCY = 0.02
"""Assumed latency of an endpoint, in seconds, before it has been measured."""

LATENCY_WEIGHT = 0.1
"""Weight of the newest measurement in the average."""


class Attempted(NamedTuple):
    """A completed attempt: its outcome, its URL, the seconds that the endpoint took, and the settings it was made
    with."""

    outcome: Outcome
    url: str
    seconds: float
    config: EndpointConfig


Attempt = Callable[[Delivery], Awaitable[Attempted]]
"""Makes an attempt."""

Finished = Callable[[Delivery, Attempted], None]
"""Handles a completed attempt."""


class Workers:
    """Tasks that take deliveries from a queue and attempt them, and what they measure of the endpoint.

    At most `cap` requests are in progress at a time.
    """

    def __init__(
        self,
        queue: ContactQueue,
        config: EndpointConfig,
        setup: LaneSetup,
        *,
        attempt: Attempt,
        finished: Finished,
    ) -> None:
        self.cap = setup.cap
        self.in_flight = 0
        self.latency = FIRST_LATENCY
        self._queue = queue
        self._pace = Pace(config, setup.share)
        self._clock = setup.clock
        self._attempt = attempt
        self._finished = finished
        self._broken = setup.owner.broken
        self._running = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._alarm: asyncio.Task[None] | None = None

    @property
    def seconds_each(self) -> float:
        """Seconds for which a delivery occupies one of the allowed requests."""
        return self._pace.seconds_each(self.latency, self.cap)

    @property
    def are_held_by_rate(self) -> bool:
        """Whether the rate limit, and not the endpoint, holds them back."""
        return self._pace.limits(self.latency, self.cap)

    def start(self) -> None:
        """Start another worker if a delivery is ready and fewer than `cap` are working."""
        if self._queue.ready and self._running < self.cap:
            self._running += 1
            task = asyncio.get_running_loop().create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def configure(self, config: EndpointConfig) -> None:
        """Use new limits from now on."""
        self._pace.configure(config)

    def wake(self) -> None:
        """Check again what may be sent, because limits have changed."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self.start()

    def stop(self) -> None:
        """Cancel everything in progress."""
        for task in self._tasks:
            task.cancel()
        if self._alarm is not None:
            self._alarm.cancel()

    async def _work(self) -> None:
        """Attempt deliveries until none is ready. A separate task for each delivery would cost more."""
        clock, pace, queue = self._clock, self._pace, self._queue
        try:
            while queue.ready:
                if not pace.plain or queue.ready[0].loose:
                    wait = pace.wait(queue.ready, clock.monotonic())
                    if wait > 0:
                        self._wake_after(wait)
                        break
                delivery = pace.take(queue.ready)
                if not pace.plain:
                    self.start()
                self.in_flight += 1
                if delivery.first_attempt_at is None:
                    delivery.first_attempt_at = clock.now_ms()
                attempted = await self._attempt(delivery)
                self.in_flight -= 1
                self.latency += LATENCY_WEIGHT * (max(attempted.seconds, 1e-4) - self.latency)
                for part in delivery.parts or (delivery,):
                    queue.release(part)
                self._finished(delivery, attempted)
        except Exception as error:
            self._broken(error)
        finally:
            self._running -= 1

    def _wake_after(self, seconds: float) -> None:
        if self._alarm is None:
            self._alarm = asyncio.get_running_loop().create_task(self._ring(seconds))

    async def _ring(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._alarm = None
        self.start()
