"""A lane: everything about sending to one endpoint, so that no endpoint can hold up another one.

A lane takes only what it can try soon. The rest it turns down at once with the reason, and the sink writes
it to a delay topic: that costs a record, not a wait.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from math import ceil, inf
from typing import Protocol

from accounts.secrets import SecretMissing, resolve
from outbound.formats import JSON
from outbound.outcomes import Outcome
from outbound.redaction import redacted_head, secrets_in
from outbound.signing import Signer, secrets_at
from schemas.records import EndpointConfig
from sinks.clock import Clock, within
from sinks.webhooks.breaker import Breaker, State
from sinks.webhooks.contact_order import Behind
from sinks.webhooks.delivery import Delivery
from sinks.webhooks.pace import SOON, Pace, keeps_pace, queue_bound
from sinks.webhooks.turned_down import Deferral, TurnedDown

log = logging.getLogger(__name__)

PROBE_QUEUE = 500
"""Deliveries that wait for the end of a probe. Webhooks come due in bursts: without this, all but the first of a
burst would lose an attempt to an endpoint that is well again."""

FIRST_LATENCY = 0.02
"""Seconds that an endpoint is taken to need before it has been measured."""

LATENCY_WEIGHT = 0.1
"""Weight of the newest measurement in the average: one timeout of 5 s shortens a queue to seconds."""

PATIENCE = 0.25
"""Seconds that the sink waits for a free place at most, those not counted in which this process stood still."""

IMPATIENCE = 5.0
"""Seconds for which a lane that had it wait in vain is not waited for again."""

SHARE_WEIGHT = 1 / 32
"""Weight of the newest measurement in a lane's share of the events."""

STOOD_STILL = 0.5
"""Part of an attempt's time for which this process stood still that makes its failure ours: it is made again once."""

SECRET_SECONDS = 5.0
"""How long a resolved secret is used: reading a file for every webhook would block the loop."""

COMPLAINT_SECONDS = 60.0
"""Between two log lines about a secret that is missing."""

PUTS_OFF = ("overflow", "rate_limited", "behind")
"""Reasons for which it waits without having failed, and keeps its place in the order of its contact."""

Post = Callable[[str, dict[str, str], bytes, bool], Awaitable[Outcome]]
"""`Sender.post`: URL, headers, body, whether http is allowed."""


class LaneOwner(Protocol):
    """Who decides what follows from what happens in a lane."""

    def attempted(self, delivery: Delivery, outcome: Outcome, url: str, seconds: float) -> None:
        """An attempt was made: how it ended, where it went, how long it took."""

    def deferred(self, delivery: Delivery, reason: Deferral) -> None:
        """A queued delivery will not be tried soon."""

    def abandoned(self, delivery: Delivery) -> None:
        """A queued delivery was let go of; the record's next owner makes it again."""

    def broken(self, error: BaseException) -> None:
        """The lane itself failed."""


class Lane:
    """Queue, requests under way, breaker and measurements of one endpoint.

    Of the deliveries of one contact one is under way at a time, in the order in which they were offered. `lag` says for
    how many seconds in all this process stood still, `room` how many further deliveries the sink may hold, `soon` after
    how many seconds a delivery would come again that is put off.
    """

    def __init__(
        self,
        name: str,
        config: EndpointConfig,
        *,
        post: Post,
        owner: LaneOwner,
        cap: int,
        longest_rest: float,
        clock: Clock,
        allow_http: bool = False,
        share: Callable[[], float] = lambda: 1.0,
        lag: Callable[[], float] = lambda: 0.0,
        room: Callable[[], float] = lambda: inf,
        soon: float = SOON,
    ) -> None:
        self.name = name
        self.config: EndpointConfig | None = config
        self.allow_http = allow_http
        self.breaker = Breaker(longest_rest)
        self.behind = Behind()
        self.latency = FIRST_LATENCY
        self.queued = 0
        self.in_flight = 0
        self.paused = False
        self._post = post
        self._owner = owner
        self._cap = cap
        self._longest_rest = longest_rest
        self._clock = clock
        self._ready: deque[Delivery] = deque()
        # Contacts with a delivery that is ready or under way, and their further deliveries.
        self._contacts: dict[str, deque[Delivery] | None] = {}
        self._probe: Delivery | None = None
        self._held: list[Delivery] = []
        self._signer: Signer | None = None
        self._secrets: tuple[str | None, ...] = ()
        self._headers: dict[str, str] = {}
        self._resolved_at = self._headers_at = self._complained_at = float("-inf")
        self._gap, self._seen_at = 1.0, 0
        self._place: asyncio.Future[None] | None = None
        self._finished = self._wake_at = self._workers = 0
        self._pace = Pace(config, share)
        self._lag = lag
        self._room = room
        self._soon = soon
        self._turned_down = TurnedDown(owner.deferred, owner.broken)
        self._alarm: asyncio.Task[None] | None = None
        self._impatient_until = float("-inf")
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def full(self) -> bool:
        """Whether a further delivery would wait longer here than if it were put off, or take the room of others."""
        held = self.queued + self.in_flight
        return held >= queue_bound(self.seconds_each, self._cap, self._soon, self._room())

    @property
    def idle(self) -> bool:
        """Whether the lane holds nothing that a new one would not have."""
        return not (self.queued or self.in_flight or self.behind or self._turned_down) and self.breaker.closed

    @property
    def seconds_each(self) -> float:
        """Seconds for which a delivery occupies one of the requests that may be under way."""
        return self._pace.seconds_each(self.latency, self._cap)

    @property
    def worth_waiting(self) -> bool:
        """Whether a free place will come so soon that waiting costs the other endpoints nothing."""
        if self._clock.monotonic() < self._impatient_until:
            return False
        return keeps_pace(self.seconds_each, self._cap, self._gap)

    def saw(self, number: int) -> None:
        """Measure the lane's share of the events: one for it is the `number`-th that the sink took."""
        self._gap += SHARE_WEIGHT * (number - self._seen_at - self._gap)
        self._seen_at = number

    def offer(self, delivery: Delivery, *, place: bool = False) -> Deferral | None:
        """Queue a delivery, or say why it cannot be tried soon. `place`: it was waited for, see wait_for_place."""
        reason = self._offered(delivery, place)
        if delivery.mark is not None and delivery.contact is not None and reason not in PUTS_OFF:
            self.behind.passed(delivery.contact, delivery.mark, self._clock.now_ms())
            delivery.mark = None
        if reason is not None and self._turned_down:
            # Earlier ones of its contact may be among them.
            self._turned_down.add((delivery,), reason)
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
        if self.behind and self._is_behind(delivery):
            return "behind"
        if self.breaker.closed:
            if self.full and not place:
                return "rate_limited" if self._pace.limits(self.latency, self._cap) else "overflow"
            self._queue(delivery)
        elif self.breaker.take_probe(self._clock.monotonic()):
            self._probe = delivery
            self._queue(delivery)
        elif self.breaker.state is State.PROBING and len(self._held) < PROBE_QUEUE:
            self._held.append(delivery)
            self.queued += 1
        else:
            return "breaker_open"
        return None

    def _is_behind(self, delivery: Delivery) -> bool:
        contact = delivery.contact
        if contact is None or delivery.attempt > 1:
            return False
        return self.behind.must_wait(contact, delivery.mark, self._clock.now_ms())

    async def wait_for_place(self) -> bool:
        """Wait until some places have become free; False when none has."""
        # Some at a time, about 20 ms of work, so that the sink does not wake for each.
        before = self._finished
        places = min(ceil(0.02 * self._cap / self.seconds_each), (self.queued + self.in_flight) // 2)
        self._wake_at = before + places
        self._place = asyncio.get_running_loop().create_future()
        began, lag, left = self._clock.monotonic(), self._lag(), PATIENCE
        while left > 1e-3 and not await within(left, self._place, self._clock) and self._finished == before:
            # While we stood still, nothing could become free.
            left = PATIENCE - max(0.0, self._clock.monotonic() - began - (self._lag() - lag))
        self._place = None
        if self._finished == before:
            self._impatient_until = self._clock.monotonic() + IMPATIENCE
            return False
        return True

    def configure(self, config: EndpointConfig | None, *, allow_http: bool = False, longest_rest: float = 0.0) -> None:
        """Use new settings from now on; None: the endpoint was deleted. Any change also ends a pause."""
        self.config = config
        self.allow_http = allow_http
        self._longest_rest = longest_rest or self._longest_rest
        self.paused = False
        self.breaker, self._probe = Breaker(self._longest_rest), None
        self._release_held()
        self._resolved_at = self._headers_at = float("-inf")
        if config is None:
            for delivery in self._emptied():
                self._owner.deferred(delivery, "deleted")
            return
        self._pace.configure(config)
        if not config.enabled:
            self._turned_down.add(self._queued_ones(), "disabled")
        self._wake()

    def let_go(self) -> None:
        """Drop what has not been started."""
        for delivery in self._emptied():
            self._owner.abandoned(delivery)

    def stop(self) -> None:
        """Cancel everything that is under way."""
        for task in self._tasks:
            task.cancel()
        self._turned_down.stop()
        if self._alarm is not None:
            self._alarm.cancel()

    def _queue(self, delivery: Delivery) -> None:
        self.queued += 1
        if delivery.loose:
            delivery.queued_at = self._clock.monotonic()
        contact = delivery.contact
        if contact is not None:
            if contact in self._contacts:
                waiting = self._contacts[contact]
                if waiting is None:
                    self._contacts[contact] = deque((delivery,))
                else:
                    waiting.append(delivery)
                return
            self._contacts[contact] = None
        self._ready.append(delivery)
        self._start_worker()

    def _start_worker(self) -> None:
        if self._ready and self._workers < self._cap:
            self._workers += 1
            task = asyncio.get_running_loop().create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _work(self) -> None:
        """Make attempts until nothing is ready. A task of its own for each delivery would cost more."""
        clock, pace = self._clock, self._pace
        try:
            while self._ready:
                if not pace.plain or self._ready[0].loose:
                    wait = pace.wait(self._ready, clock.monotonic())
                    if wait > 0:
                        self._wake_after(wait)
                        break
                delivery = pace.take(self._ready)
                self.queued -= len(delivery.parts) or 1
                if not pace.plain:
                    self._start_worker()
                self.in_flight += 1
                if delivery.first_attempt_at is None:
                    delivery.first_attempt_at = clock.now_ms()
                outcome, url, seconds = await self._attempt_of_its_own(delivery)
                self._finish(delivery, outcome, url, clock.monotonic(), seconds)
        except Exception as error:
            self._owner.broken(error)
        finally:
            self._workers -= 1

    def _wake_after(self, seconds: float) -> None:
        if self._alarm is None:
            self._alarm = asyncio.get_running_loop().create_task(self._ring(seconds))

    async def _ring(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._alarm = None
        self._start_worker()

    def _wake(self) -> None:
        """Look anew at what may go: limits have changed."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._start_worker()

    async def _attempt_of_its_own(self, delivery: Delivery) -> tuple[Outcome, str, float]:
        """An attempt, and the seconds that the endpoint took for it. One that failed while this process stood still is
        made again: the answer may have lain there until its time was over.
        """
        for is_last in (False, True):
            started, lag = self._clock.monotonic(), self._lag()
            outcome, url = await self._attempt(delivery)
            seconds, stood_still = self._clock.monotonic() - started, self._lag() - lag
            is_ours = outcome.trips and outcome.status is None and stood_still > STOOD_STILL * seconds
            if is_last or not is_ours or self.config is None or self.paused:
                break
        return outcome, url, max(0.0, seconds - stood_still)

    async def _attempt(self, delivery: Delivery) -> tuple[Outcome, str]:
        config = self.config
        assert config is not None  # a deleted endpoint's queue is empty
        url = delivery.url or config.url
        try:
            headers = self._signed(delivery, config)
            own = self._own_headers(config) if config.headers else {}
        except SecretMissing as missing:
            self._complain(missing)
            return Outcome(error_class="secret_missing"), url
        if delivery.content_type != JSON:
            headers["Content-Type"] = delivery.content_type
        if delivery.traceparent is not None:
            headers["traceparent"] = delivery.traceparent.decode("latin-1")
        signed_with = self._secrets[2:]  # they may change while the request is under way
        outcome = await self._post(url, {**own, **headers} if own else headers, delivery.body, self.allow_http)
        if outcome.head:
            secrets = (*filter(None, signed_with), *own.values(), *secrets_in(url))
            outcome = replace(outcome, head=redacted_head(outcome.head, secrets))
        return outcome, url

    def _signed(self, delivery: Delivery, config: EndpointConfig) -> dict[str, str]:
        """Headers of a request: signed, where there is a secret."""
        if not config.secret:
            return {"webhook-id": delivery.event_id}
        now = self._clock.now_ms()
        return self._signer_now(*secrets_at(config, now)).headers(delivery.event_id, delivery.body, now // 1_000)

    def _own_headers(self, config: EndpointConfig) -> dict[str, str]:
        """Headers that the endpoint asks for. Their values may be secrets, so they are resolved like them."""
        now = self._clock.monotonic()
        if now - self._headers_at >= SECRET_SECONDS:
            self._headers = {name: resolve(value) for name, value in config.headers.items()}
            self._headers_at = now
        return self._headers

    def _signer_now(self, reference: str, following: str | None) -> Signer:
        now = self._clock.monotonic()
        references = (reference, following)
        if self._signer is None or references != self._secrets[:2] or now - self._resolved_at >= SECRET_SECONDS:
            secrets = (*references, resolve(reference), self._following(following))
            if self._signer is None or secrets != self._secrets:
                self._secrets, self._signer = secrets, Signer(*secrets[2:])
            self._resolved_at = now
        return self._signer

    def _following(self, reference: str | None) -> str | None:
        """The secret that follows. While it cannot be had, the present one still signs alone."""
        try:
            return None if reference is None else resolve(reference)
        except SecretMissing as missing:
            self._complain(missing)
            return None

    def _complain(self, missing: SecretMissing) -> None:
        now = self._clock.monotonic()
        if now - self._complained_at >= COMPLAINT_SECONDS:
            self._complained_at = now
            log.error("endpoint %s: %s", self.name, missing)

    def _finish(self, delivery: Delivery, outcome: Outcome, url: str, now: float, seconds: float) -> None:
        self.in_flight -= 1
        self.latency += LATENCY_WEIGHT * (max(seconds, 1e-4) - self.latency)
        parts = delivery.parts or (delivery,)
        for part in parts:
            if part.contact is not None:
                self._release(part.contact)
        probe = self._probe in parts if self._probe is not None else False
        if probe:
            self._probe = None
        opened = self.breaker.record(outcome.trips, now, probe=probe)
        self._owner.attempted(delivery, outcome, url, seconds)
        if opened:
            if not probe:
                log.warning("endpoint %s fails (%s): its webhooks are deferred", self.name, outcome.label)
            self._turned_down.add(self._queued_ones(), "breaker_open")
        elif probe:
            log.info("endpoint %s answers again", self.name)
            self._release_held()
        if outcome.closes and delivery.url is None and not self.paused:
            log.error("endpoint %s wants no more webhooks (%s): paused until it is resumed", self.name, outcome.status)
            self.paused = True
            self._turned_down.add(self._queued_ones(), "paused")
        self._finished += len(parts)
        if self._place is not None and self._finished >= self._wake_at:
            self._free_place()

    def _release(self, contact: str) -> None:
        waiting = self._contacts[contact]
        if waiting:
            # In front: it has waited at least as long as what came after it.
            self._ready.appendleft(waiting.popleft())
        else:
            del self._contacts[contact]

    def _release_held(self) -> None:
        held, self._held = self._held, []
        self.queued -= len(held)
        for delivery in held:
            self._queue(delivery)

    def _emptied(self) -> list[Delivery]:
        """All that the lane holds and that is not under way; it holds nothing of it any more."""
        return [*self._turned_down.emptied(), *self._queued_ones()]

    def _queued_ones(self) -> list[Delivery]:
        found: list[Delivery] = []
        for delivery in self._ready:
            found.append(delivery)
            if delivery.contact is not None:
                found.extend(self._contacts.pop(delivery.contact) or ())
        for contact, others in self._contacts.items():
            found.extend(others or ())
            self._contacts[contact] = None  # the first one is under way
        found.extend(self._held)
        self._ready.clear()
        self._held.clear()
        self.queued = 0
        if self._probe in found:
            self.breaker.return_probe()
            self._probe = None
        self._free_place()
        return found

    def _free_place(self) -> None:
        if self._place is not None and not self._place.done():
            self._place.set_result(None)
