"""A lane sends to one endpoint, isolated from all others.

It accepts only deliveries that it can try soon. It defers the rest at once, with a reason, and the sink writes them to
a delay topic: that costs a record, but no waiting.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from math import ceil

from outbound.outcomes import Outcome
from schemas.records import EndpointConfig
from sinks.webhooks.breaker import Breaker, State
from sinks.webhooks.contact_queue import ContactQueue
from sinks.webhooks.deferrals import Deferral, Deferrals
from sinks.webhooks.delivery import Delivery
from sinks.webhooks.gate import LaneGate, Turn
from sinks.webhooks.lane_order import LaneOrder
from sinks.webhooks.lane_setup import LaneSetup
from sinks.webhooks.list_limits import ListLimits
from sinks.webhooks.pace import PART_OF_QUEUE, queue_bound
from sinks.webhooks.patience import LanePatience
from sinks.webhooks.signed_post import SignedPost
from sinks.webhooks.workers import Attempted, Workers

log = logging.getLogger(__name__)

STOOD_STILL = 0.5
"""Share of an attempt during which this process was stalled that makes the failure ours: it is repeated once."""

SHORT_QUEUE = 5.0
"""Seconds of work in a queue that is read again after its partitions have moved."""

TOO_LATE = 2.0
"""A queue is shortened once a delivery has waited in it for this many times the delay of a deferred one."""

PUTS_OFF = ("overflow", "rate_limited", "behind")
"""Reasons to defer a delivery that has not failed; it keeps its place in its contact's order."""

PARKS = ("paused", "disabled")
"""Reasons to park a delivery, which keeps that place too."""


class Lane:
    """Takes the deliveries for one endpoint: queues them, holds them for a probe, or defers them.

    Of each contact's deliveries, one is in progress at a time, in the order in which they were offered.
    """

    def __init__(
        self,
        name: str,
        config: EndpointConfig,
        setup: LaneSetup,
        *,
        longest_rest: float,
        allow_http: bool = False,
    ) -> None:
        owner, clock = setup.owner, setup.clock
        self.name = name
        self.config: EndpointConfig | None = config
        self.allow_http = allow_http
        self.paused = False
        self.order = LaneOrder(setup.clock)
        self._returned = 0
        """Number of deliveries from delay topics and replays that are queued or in progress."""
        self._owner = owner
        self._clock = clock
        self._lag = setup.lag
        self._room = setup.room
        self._soon = setup.soon
        self._longest_rest = longest_rest
        self._queue = ContactQueue()
        self._gate = LaneGate(longest_rest)
        self._signed_post = SignedPost(name, setup.post, clock, setup.tracing)
        self._patience = LanePatience(clock, setup.lag)
        self._deferrals = Deferrals(owner.deferred, owner.broken)
        self._lists = ListLimits(config, setup.share)
        self.workers = Workers(
            self._queue,
            config,
            setup,
            attempt=self._attempt,
            finished=self._finished,
        )

    @property
    def breaker(self) -> Breaker:
        """The endpoint's breaker."""
        return self._gate.breaker

    @property
    def queued(self) -> int:
        """Number of deliveries accepted but not in progress."""
        return len(self._queue) + len(self._gate.held)

    @property
    def in_flight(self) -> int:
        """Number of requests in progress."""
        return self.workers.in_flight

    def is_full_for(self, delivery: Delivery) -> bool:
        """Whether a delivery would wait longer here than if deferred, or take room from others.

        What returns may fill a part of the queue, whatever else it holds: new events find room however long a backlog
        is, and retries and a backlog find room however many events come.
        """
        workers, queue, bound = self.workers, self._queue, self._bound
        # Called for every event, so it makes few calls itself.
        held = len(queue.ready) + queue.behind + len(self._gate.held) + workers.in_flight
        if delivery.is_new:
            return held >= bound
        part = PART_OF_QUEUE * bound
        return held >= int(bound + part) or self._returned >= max(part, workers.cap)

    @property
    def idle(self) -> bool:
        """Whether the lane has no state that a new one would lack."""
        return not (self.queued or self.in_flight or self.order or self._deferrals) and self.breaker.closed

    @property
    def worth_waiting(self) -> bool:
        """Whether a place will be free so soon that waiting costs the other endpoints nothing."""
        return self.breaker.closed and self._patience.pays(self.workers.seconds_each, self.workers.cap)

    @property
    def _bound(self) -> float:
        """How many deliveries the lane may hold."""
        return queue_bound(self.workers.seconds_each, self.workers.cap, self._soon, self._room())

    @property
    def _gap(self) -> float:
        """Seconds from one delivery that leaves the queue to the next."""
        return self.workers.seconds_each / self.workers.cap

    def wait(self, delivery: Delivery) -> float:
        """Return how many seconds a deferred delivery will probably wait for those ahead of it, here and in delay
        topics."""
        ahead = self.order.ahead(delivery)
        return (self.queued + self.in_flight) * self._gap + ahead * max(self._gap, self._lists.seconds_each(delivery))

    def saw(self, number: int) -> None:
        """Measure the lane's share of the events, for one that is the sink's `number`-th."""
        self._patience.saw(number)

    def offer(self, delivery: Delivery, *, place: bool = False) -> Deferral | None:
        """Queue a delivery, or return why it cannot be tried soon. `place`: wait_for_place was used for it."""
        reason = self._offered(delivery, place)
        if delivery.mark is not None and reason not in PUTS_OFF:
            self.order.passed(delivery, parks=reason in PARKS)
        if reason is None:
            self.order.give_mark(delivery)
            self._returned += not delivery.is_new
        if reason is not None and self._deferrals:
            # Earlier ones of its contact may be among them.
            self._deferrals.add((delivery,), reason)
            return None
        return reason

    def _offered(self, delivery: Delivery, place: bool) -> Deferral | None:
        config = self.config
        if config is None:
            return "deleted"
        if not config.enabled:
            return "disabled"
        if self.paused:
            return "paused"
        if self.order and self.order.must_wait(delivery):
            return "behind"
        breaker = self._gate.breaker
        if breaker.state is not State.OPEN:
            if self._deferrals:
                return "behind"  # earlier ones of its contact may be among them
            if not place and self.is_full_for(delivery):
                return self._what_fills
            if self._lists and self._lists.refuses(delivery, self._clock.monotonic()):
                return "rate_limited"
            if breaker.closed:
                self._take(delivery)
                return None
        match self._gate.offer(delivery, self._clock.monotonic()):
            case "goes":
                self._take(delivery)
            case "deferred":
                return "breaker_open"
        return None

    @property
    def _what_fills(self) -> Deferral:
        return "rate_limited" if self.workers.are_held_by_rate else "overflow"

    def _take(self, delivery: Delivery) -> None:
        delivery.queued_at = self._clock.monotonic()
        self._queue.add(delivery)
        self.workers.start()

    async def wait_for_place(self) -> bool:
        """Wait until some places are free; False if none is."""
        # Several at a time, about 20 ms of work, so that the sink does not wake up for each one.
        soon = ceil(0.02 * self.workers.cap / self.workers.seconds_each)
        return await self._patience.wait(min(soon, (self.queued + self.in_flight) // 2))

    def configure(self, config: EndpointConfig | None, *, allow_http: bool = False, longest_rest: float = 0.0) -> None:
        """Apply new settings; None: the endpoint was deleted. Any change also ends a pause."""
        self.config = config
        self.allow_http = allow_http
        self._longest_rest = longest_rest or self._longest_rest
        self.paused = False
        held, self._gate = self._gate.emptied(), LaneGate(self._longest_rest)
        for delivery in held:
            self._take(delivery)
        self._signed_post.forget()
        if config is None:
            for delivery in self._emptied():
                self._owner.deferred(delivery, "deleted")
            return
        self.workers.configure(config)
        self._lists.configure(config)
        if config.enabled:
            self.order.resumed()
            if self.queued * self._gap > TOO_LATE * self._soon:
                self._shorten()
        else:
            self._deferrals.add(self._waiting(), "disabled")
        self.workers.wake()

    def let_go(self) -> None:
        """Give up what has not been started, because partitions move: their next owner reads it again.

        A long queue is deferred instead. All later events of its partitions would be repeated with it, also at
        endpoints that have already accepted them. So is what returned: with it, much of a backlog would be repeated,
        which passes through the topic of due webhooks at many times the pace at which its endpoint takes it.
        """
        self.order.moved()
        if self.queued * self._gap > SHORT_QUEUE:
            self._deferrals.add(self._waiting(), "moving")
            return
        waiting = self._emptied()
        for delivery in waiting:
            if delivery.is_new:
                self._owner.abandoned(delivery)
        self._deferrals.add([delivery for delivery in waiting if not delivery.is_new], "moving")

    def stop(self) -> None:
        """Cancel everything in progress."""
        self.workers.stop()
        self._deferrals.stop()

    async def _attempt(self, delivery: Delivery) -> Attempted:
        """Make an attempt. One that failed while this process was stalled is repeated: the answer may have arrived in
        time and not been read."""
        for is_last in (False, True):
            config = self.config
            assert config is not None  # a deleted endpoint's queue is empty
            started, lag = self._clock.monotonic(), self._lag()
            outcome, url = await self._signed_post(delivery, config, self.allow_http)
            seconds, stood_still = self._clock.monotonic() - started, self._lag() - lag
            # A timeout ends when this process's own clock says so.
            ours = 0.0 if outcome.error_class == "timeout" else stood_still
            attempted = Attempted(outcome, url, max(0.0, seconds - ours), config)
            is_ours = outcome.trips and outcome.status is None and stood_still > STOOD_STILL * seconds
            if is_last or not is_ours or self.config is None or self.paused:
                break
        return attempted

    def _finished(self, delivery: Delivery, attempted: Attempted) -> None:
        outcome, parts, now = attempted.outcome, delivery.parts or (delivery,), self._clock.monotonic()
        self._returned -= not delivery.is_new  # a batch is always new
        self._owner.attempted(delivery, outcome, attempted.url, attempted.seconds)
        if attempted.config is self.config:  # otherwise it says nothing about the endpoint as it is now
            self._judge(parts, outcome, now, is_callback=delivery.url is not None)
        if now - parts[0].queued_at > TOO_LATE * self._soon:
            self._shorten()
        self._patience.freed(len(parts))

    def _judge(self, parts: Sequence[Delivery], outcome: Outcome, now: float, *, is_callback: bool) -> None:
        """Open or close the gate after an attempt, or pause."""
        turn = self._gate.ended(parts, outcome.trips, now)
        if turn is Turn.SHUT:
            log.warning("endpoint %s is failing (%s): its webhooks are deferred", self.name, outcome.label)
        if turn in (Turn.SHUT, Turn.STAYS_SHUT):
            self._deferrals.add(self._waiting(), "breaker_open")
        elif turn is Turn.OPENED:
            log.info("endpoint %s answers again", self.name)
            for held in self._gate.emptied():
                self._take(held)
        if outcome.closes and not is_callback and not self.paused:
            log.error("endpoint %s wants no more webhooks (%s): paused until it is resumed", self.name, outcome.status)
            self.paused = True
            self._owner.closed(self.name, outcome)
            self._deferrals.add(self._waiting(), "paused")

    def _shorten(self) -> None:
        """Defer what is beyond the queue's bound, because the endpoint has slowed down, or its limit was lowered, since
        it was queued. Otherwise, it would hold back the offsets of its partitions for hours."""
        bound = ceil(self._bound)
        if len(self._queue) <= bound or not self.breaker.closed:
            return
        waiting = sorted(self._waiting(), key=lambda delivery: delivery.queued_at)
        for delivery in waiting[:bound]:
            self._queue.add(delivery)
        self._returned += _returned(waiting[:bound])
        self._deferrals.add(waiting[bound:], self._what_fills)

    def _emptied(self) -> list[Delivery]:
        """Remove and return everything that is not in progress."""
        return [*self._deferrals.emptied(), *self._waiting()]

    def _waiting(self) -> list[Delivery]:
        """Remove and return everything queued or held."""
        found = [*self._queue.emptied(), *self._gate.emptied()]
        self._gate.dropped(found)
        self._patience.end()
        self._returned -= _returned(found)
        return found


def _returned(deliveries: Iterable[Delivery]) -> int:
    return sum(not delivery.is_new for delivery in deliveries)
