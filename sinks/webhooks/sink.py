"""The webhook sink: takes events and due webhooks, sends signed POSTs.

Each record becomes a delivery for every interested endpoint, and is offered to the endpoints' lanes. Deferred and
failed deliveries go to a delay topic or to the dead letters. There are no batches: a slow answer holds back only its
own offset.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from accounts.model import Accounts
from bus.clock import Clock
from bus.worker.batch import NOT_OF_THE_RECORD, about_source
from bus.worker.batches import FailureLimit
from bus.worker.inbox import Admitted, Inbox
from outbound.outcomes import Outcome
from schemas.codec import Codec, CodecError
from schemas.records import EndpointConfig, WebhookTask
from schemas.topics import Catalogue
from sinks.settings import SinksSettings
from sinks.webhooks.attempt_log import AttemptLog, attempt_of
from sinks.webhooks.deferrals import Deferral
from sinks.webhooks.delivery import STAGE, Delivery, from_task
from sinks.webhooks.fanout import DELIVERY_BYTES, fan_out, is_callback_lane, may_use_http, settings_of
from sinks.webhooks.lane import Lane
from sinks.webhooks.lane_setup import LaneSetup
from sinks.webhooks.metrics import WebhookCounts
from sinks.webhooks.outbox import RecordProducer
from sinks.webhooks.pace import LEAST_SOON
from sinks.webhooks.parking import Parking
from sinks.webhooks.pausing import Pauses
from sinks.webhooks.retry import Dead, Retry, Schedule, TaskHeaders, chosen, crowded_out, next_step, parked
from sinks.webhooks.signed_post import Post
from sinks.webhooks.task_writer import SinkRecords
from sinks.webhooks.window import Admission, Window

if TYPE_CHECKING:
    from bus.telemetry.tracing import Tracing

log = logging.getLogger(__name__)

EVENTS = ("delivery", "sent", "reply", "unsubscribe", "removed", "restored", "click", "conversion",
          "callbacks")  # fmt: skip
"""Event topics (catalogue short names) with the same partitioning."""

APART = ("alerts", "webhooks_due")
"""Topics that are not keyed by recipient (catalogue short names)."""

TOPICS = (*EVENTS, *APART)
"""What the sink reads (catalogue short names)."""

TURN = 64
"""Records taken before requests in progress get a turn of the event loop."""

LONGEST_TURN = 0.005
"""Maximum seconds given to requests per turn over the inbox. They get as long as the turn took: otherwise a long
backlog would keep the process so busy reading that every endpoint seems slow."""

CALLBACK_LANES = 2_000
"""Callback lanes to keep. Senders choose the hosts, so beyond this number idle ones are dropped."""

_BREAKER_OPEN = Outcome(error_class="breaker_open")
_PARKED_TOO_LONG = Outcome(error_class="parked_too_long")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookParts:
    """What the process provides for webhooks: its connections to Kafka and to endpoints, and facts about itself.

    `share` is this process's share of all event partitions, for rate limits; `lag` is for how many seconds in total its
    event loop was stalled. `crash` ends the process.
    """

    codec: Codec
    catalogue: Catalogue
    producer: RecordProducer
    post: Post
    clock: Clock
    crash: Callable[[BaseException], Awaitable[None]]
    share: Callable[[], float] = lambda: 1.0
    lag: Callable[[], float] = lambda: 0.0
    tracing: Tracing | None = None


class WebhookSink:
    """The loop over the inbox, and what follows from each attempt."""

    def __init__(
        self,
        settings: SinksSettings,
        schedule: Schedule,
        inbox: Inbox,
        accounts: Accounts,
        parts: WebhookParts,
        *,
        pauses: Pauses,
        attempts: AttemptLog,
    ) -> None:
        clock = parts.clock
        self.counts = WebhookCounts()
        self.lanes: dict[str, Lane] = {}
        self.window = Window(settings.window_events, settings.window_bytes, clock)
        self.window.on_drain.append(self._let_go)
        self.parking = Parking(settings.parked_days)
        self._schedule = schedule
        self._inbox = inbox
        self._accounts = accounts
        self._codec = parts.codec
        self._clock = clock
        self._pauses = pauses
        self._attempts = attempts
        self._crash = parts.crash
        self._crashing: asyncio.Task[None] | None = None
        self._limit = FailureLimit(ratio=settings.failure_ratio)
        self._callback_lanes = 0
        self._records = SinkRecords(
            parts.catalogue,
            parts.codec,
            parts.producer,
            schedule,
            now_ms=clock.now_ms,
            settled=self.window.settle,
            broken=self.broken,
        )
        self.counts.rejected = self._records.rejected
        self._lane_setup = LaneSetup(
            post=parts.post,
            owner=self,
            cap=settings.in_flight_per_endpoint,
            clock=clock,
            share=parts.share,
            lag=parts.lag,
            room=lambda: self.window.room,
            soon=max(schedule[0].delay_ms / 1000, LEAST_SOON),
            tracing=parts.tracing,
        )

    @property
    def in_flight(self) -> int:
        """Number of requests in progress."""
        return sum(lane.in_flight for lane in self.lanes.values())

    async def run(self) -> NoReturn:
        """Take records forever. An unrecoverable error ends the worker."""
        try:
            await self._records.start()
            while True:
                sources = await self._inbox.take(TURN)
                began = self._clock.monotonic()
                try:
                    await self._take(sources)
                finally:
                    self._inbox.done()
                await self._clock.sleep(min(self._clock.monotonic() - began, LONGEST_TURN))
        except Exception as error:
            self.broken(error)
            raise
        finally:
            self.stop()

    def stop(self) -> None:
        """Cancel what is in progress."""
        self._records.stop()
        self._pauses.stop()
        for lane in self.lanes.values():
            lane.stop()

    async def drain(self, timeout: float) -> bool:
        """Drop what is queued, and wait up to `timeout` seconds for the rest. For `before_revoke`."""
        if self._crashing is not None:
            return False
        return await self.window.drain(timeout)

    def on_change(self, topic: str, key: str) -> None:
        """Handle a setting that was written or deleted. For `AccountsReader.on_change`."""
        if topic == "config_accounts":
            for name in [name for name in self.lanes if name.partition("/")[0] == key]:
                if is_callback_lane(name) or self.lanes[name].allow_http != may_use_http(name, self._accounts):
                    self._configure(name)
        elif topic == "config_endpoints":
            self._pauses.on_change(key, self._accounts.endpoints.get(key))
            if key in self.lanes:
                self._configure(key)

    def _configure(self, name: str) -> None:
        lane, config = self.lanes[name], settings_of(name, self._accounts)
        rest = self._schedule_of(name)[0].delay_ms / 1000
        lane.configure(config, allow_http=may_use_http(name, self._accounts), longest_rest=rest)
        if config is None:
            del self.lanes[name]

    async def _take(self, sources: Sequence[Admitted]) -> None:
        epoch, failed = self.window.epoch, 0
        for source in sources:
            if self.window.full:
                await self.window.wait_room()
            if self.window.epoch != epoch:
                return
            try:
                deliveries = self._deliveries(source)
            except NOT_OF_THE_RECORD:
                raise
            except CodecError as error:
                self._reject(source, "not_decodable", str(error))
                failed += 1
            except Exception as error:
                log.exception("cannot make a webhook of a record", extra=about_source(source, STAGE))
                self._reject(source, "internal_error", f"{type(error).__name__}: {error}")
                failed += 1
            else:
                self.counts.events += 1
                trace, received_at = source.traceparent, source.received_at
                for delivery in deliveries:
                    delivery.traceparent = trace
                    delivery.received_at = None if delivery.loose else received_at  # batches wait by design
                    await self._place(delivery, epoch)
        self._limit.judge(len(sources), failed)

    def _deliveries(self, source: Admitted) -> list[Delivery]:
        """Return a record's deliveries. Raises CodecError."""
        ledger, message, _ = source
        record = self._codec.decode(message.value)

        def admit(size: int, deliveries: int) -> Admission:
            return self.window.admit(ledger, message.offset, size, deliveries)

        if not isinstance(record, WebhookTask):
            return fan_out(record, self._accounts, admit)
        if settings_of(record.endpoint, self._accounts) is None:
            admit(0, 0)
            self._drop(record.endpoint, record.event_id)
            return []
        headers = TaskHeaders.decode(message.headers)
        return [from_task(record, headers, admit(len(record.body) + DELIVERY_BYTES, 1))]

    def _lane(self, name: str) -> Lane | None:
        """Return the lane of this name; None if its endpoint was deleted, possibly after the delivery was created."""
        lane = self.lanes.get(name)
        if lane is None:
            config = settings_of(name, self._accounts)
            if config is None:
                return None
            lane = self.lanes[name] = self._new_lane(name, config)
        lane.saw(self.counts.events)
        return lane

    def _new_lane(self, name: str, config: EndpointConfig) -> Lane:
        if is_callback_lane(name):
            self._forget_idle_lanes()
        return Lane(
            name,
            config,
            self._lane_setup,
            longest_rest=self._schedule_of(name)[0].delay_ms / 1000,
            allow_http=may_use_http(name, self._accounts),
        )

    def _forget_idle_lanes(self) -> None:
        self._callback_lanes += 1
        if self._callback_lanes > CALLBACK_LANES:
            for name in [name for name in self.lanes if is_callback_lane(name)]:
                self.lanes[name].order.sweep()
                if self.lanes[name].idle:
                    del self.lanes[name]
            self._callback_lanes = sum(map(is_callback_lane, self.lanes))

    async def _place(self, delivery: Delivery, epoch: int) -> None:
        lane = self._lane(delivery.endpoint)
        reason: Deferral | None = "deleted"
        if lane is not None:
            reason = lane.offer(delivery) if self.window.epoch == epoch else None
        if lane is not None and reason == "overflow" and lane.worth_waiting:
            place = await lane.wait_for_place()
            reason = lane.offer(delivery, place=place) if self.window.epoch == epoch else None
        if self.window.epoch != epoch:
            self.window.abandon(delivery.admission)
        elif reason is not None:
            self.deferred(delivery, reason)

    def attempted(self, delivery: Delivery, outcome: Outcome, url: str, seconds: float) -> None:
        """Handle an attempt."""
        self.counts.attempted(delivery, outcome.label, outcome.ok, seconds, self._clock.now_ms())
        next_at = None
        if outcome.ok:
            self.window.settle(delivery.admission)
            self._pauses.succeeded(delivery.endpoint)
        else:
            delivery.parked_at = None
            next_at = self._failed(delivery, outcome)
        self._attempts.put(attempt_of(delivery, outcome, url, seconds, self._clock.now_ms(), next_at))

    def closed(self, name: str, outcome: Outcome) -> None:
        """Pause an endpoint whose receiver wants no more webhooks."""
        self._pauses.closed(name, outcome)

    def deferred(self, delivery: Delivery, reason: Deferral) -> None:
        """Handle a delivery that will not be tried soon. An open breaker counts as an attempt, so that retries end."""
        self.counts.deferred[reason] += 1
        match reason:
            case "deleted":
                self._drop(delivery.endpoint, delivery.event_id)
                self.window.settle(delivery.admission)
            case "breaker_open":
                self._failed(delivery, _BREAKER_OPEN)
            case "paused" | "disabled":
                self._park(delivery)
            case _:
                self._put_off(delivery)

    def abandoned(self, delivery: Delivery) -> None:
        """Handle a dropped delivery."""
        self.window.abandon(delivery.admission)

    def broken(self, error: BaseException) -> None:
        """Stop the worker after an unrecoverable error; it recovers from the log."""
        if self._crashing is None:
            log.critical("webhooks stopped: %s: %s", type(error).__name__, error)
            self._crashing = asyncio.ensure_future(_awaited(self._crash(error)))

    def _let_go(self) -> None:
        for lane in self.lanes.values():
            lane.let_go()

    def _schedule_of(self, name: str) -> Schedule:
        config = self._accounts.endpoints.get(name)
        return self._schedule if config is None else chosen(config.retry_schedule, self._schedule)

    def _drop(self, endpoint: str, event_id: str) -> None:
        self.counts.dropped += 1
        log.info("endpoint %s no longer accepts webhooks: dropping webhook %s", endpoint, event_id)

    def _failed(self, delivery: Delivery, outcome: Outcome) -> int | None:
        """Defer or bury a delivery. Returns when it is due, in ms."""
        self._pauses.failed(delivery.endpoint, outcome)
        delivery.mark = None
        if delivery.first_attempt_at is None:
            delivery.first_attempt_at = self._clock.now_ms()
        step = self._next_step(delivery, outcome)
        if isinstance(step, Dead):
            self.counts.dead += 1
            self._records.bury(delivery, outcome)
            return None
        self.counts.retried[step.tier.name] += 1
        return self._records.defer(delivery, step)

    def _next_step(self, delivery: Delivery, outcome: Outcome) -> Retry | Dead:
        if outcome.closes and not outcome.aborted:
            # This pauses the endpoint; a callback's own URL has simply ceased to exist.
            return parked(delivery.attempt + 1, self._schedule) if delivery.url is None else Dead()
        return next_step(delivery.attempt, outcome, self._schedule_of(delivery.endpoint))

    def _put_off(self, delivery: Delivery) -> None:
        # Not a retry, so the endpoint's choice of delays does not matter.
        lane = self.lanes.get(delivery.endpoint)
        if lane is None:
            self._records.defer(delivery, crowded_out(delivery.attempt, self._schedule))
            return
        step = crowded_out(delivery.attempt, self._schedule, 1000 * lane.wait(delivery))
        lane.order.give_mark(delivery)
        lane.order.put_off(delivery, self._records.defer(delivery, step))

    def _park(self, delivery: Delivery) -> None:
        if delivery.parked_at is None:
            delivery.parked_at = self._clock.now_ms()
        if self._parks(delivery.endpoint, delivery.parked_at) == "expired":
            self.counts.dead += 1
            self._records.bury(delivery, _PARKED_TOO_LONG)
        else:
            if (lane := self.lanes.get(delivery.endpoint)) is not None:
                lane.order.park(delivery)
            self._records.park(delivery)

    def stays_parked(self, endpoint: str, parked_at: int) -> bool:
        """Whether a webhook that has waited since `parked_at` (ms) for its endpoint keeps waiting. One that has waited
        too long returns and is given up."""
        config = settings_of(endpoint, self._accounts)
        if config is None or config.enabled:
            return False
        return self._parks(endpoint, parked_at) != "expired"

    def _parks(self, endpoint: str, parked_at: int) -> str:
        state = self.parking.park(endpoint, parked_at, self._clock.now_ms())
        if state == "expiring":
            self._pauses.expiring(endpoint, parked_at)
        return state

    def _reject(self, source: Admitted, reason: str, error: str) -> None:
        admission = self.window.admit(source.ledger, source.record.offset, len(source.record.value or b""), 1)
        self._records.reject(source, admission, reason, error)


async def _awaited(awaitable: Awaitable[None]) -> None:
    await awaitable
