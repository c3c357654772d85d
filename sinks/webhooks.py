"""The webhook sink: events and due webhooks in, signed POSTs out.

Each record becomes a delivery for every endpoint that wants it, and is handed to the endpoints' lanes. What a
lane turns down, and what fails, is written to a delay topic or to the dead letters. There is no batch: a slow
answer holds nothing but its own offset.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NoReturn

from accounts.store import Accounts
from bus.batches import FailureLimit
from bus.inbox import Admitted, Inbox
from schemas.cloudevents import Headers
from schemas.codec import Codec, CodecError
from schemas.records import EndpointConfig, Record, RejectedRecord, WebhookTask
from schemas.topics import Catalogue
from sinks.bodies import PublicEvent, body_of, contact_of, event_name, list_of
from sinks.clock import Clock
from sinks.delivery import Delivery, dead, rejected, waiting
from sinks.lanes import Deferral, Lane, Post
from sinks.metrics import WebhookCounts
from sinks.outbox import Outbox, Outgoing, RecordProducer
from sinks.retry import Outcome, Retry, Schedule, TaskHeaders, crowded_out, next_step, parked
from sinks.settings import SinksSettings
from sinks.window import Window

log = logging.getLogger(__name__)

TOPICS = ("delivery", "reply", "unsubscribe", "webhooks_due")
"""What the sink reads (short names of the catalogue)."""

TURN = 64
"""Records taken before the requests under way get their turn of the event loop."""

LONGEST_TURN = 0.005
"""Seconds that the requests get at most for a turn of the loop over the inbox. They get as long as it took: a long
backlog would otherwise keep the process so busy with reading that every endpoint seems slow."""

_WITHOUT_ATTEMPT: Mapping[Deferral, Callable[[int, Schedule], Retry]] = {
    "overflow": crowded_out,
    "paused": parked,
    "disabled": parked,
}
_BREAKER_OPEN = Outcome(error_class="breaker_open")


class WebhookSink:
    """The loop over the inbox, and what follows from each attempt."""

    def __init__(
        self,
        settings: SinksSettings,
        schedule: Schedule,
        inbox: Inbox,
        accounts: Accounts,
        *,
        codec: Codec,
        catalogue: Catalogue,
        producer: RecordProducer,
        post: Post,
        clock: Clock,
        crash: Callable[[BaseException], Awaitable[None]],
    ) -> None:
        self.counts = WebhookCounts()
        self.lanes: dict[str, Lane] = {}
        self.window = Window(settings.window_events, settings.window_bytes, clock)
        self.window.on_drain.append(self._let_go)
        self._cap = settings.in_flight_per_endpoint
        self._schedule = schedule
        self._inbox = inbox
        self._accounts = accounts
        self._codec = codec
        self._catalogue = catalogue
        self._rejected_topic = catalogue["rejected"].name
        self._post = post
        self._clock = clock
        self._crash = crash
        self._crashing: asyncio.Task[None] | None = None
        self._limit = FailureLimit()
        self._outbox = Outbox(
            producer, codec, settled=self.window.settle, too_large=self._too_large, broken=self.broken
        )

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        return sum(lane.in_flight for lane in self.lanes.values())

    async def run(self) -> NoReturn:
        """Take records for ever. What cannot be gone on from ends the worker."""
        self._outbox.start()
        try:
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
        """Cancel what is under way."""
        self._outbox.stop()
        for lane in self.lanes.values():
            lane.stop()

    async def drain(self, timeout: float) -> bool:
        """Let go of what is queued, wait for the rest for at most `timeout` seconds. For `before_revoke`."""
        if self._crashing is not None:
            return False
        return await self.window.drain(timeout)

    def on_change(self, topic: str, key: str) -> None:
        """A setting was written or deleted. For `AccountsReader.on_change`."""
        if topic != "config_endpoints" or key not in self.lanes:
            return
        config = self._accounts.endpoints.get(key)
        self.lanes[key].configure(config)
        if config is None:
            del self.lanes[key]

    async def _take(self, sources: Iterable[Admitted]) -> None:
        epoch = self.window.epoch
        for source in sources:
            if self.window.full:
                await self.window.wait_room()
            if self.window.epoch != epoch:
                return
            try:
                deliveries = self._deliveries(source)
            except CodecError as error:
                self._reject(source, "not_decodable", str(error))
            except Exception as error:
                log.exception("a record cannot be made a webhook")
                self._reject(source, "internal_error", f"{type(error).__name__}: {error}")
            else:
                self._limit.record(failed=False)
                self.counts.events += 1
                for lane, delivery in deliveries:
                    await self._place(lane, delivery, epoch)

    def _deliveries(self, source: Admitted) -> list[tuple[Lane, Delivery]]:
        """What a record leads to. Raises CodecError."""
        ledger, message = source
        record = self._codec.decode(message.value)
        if isinstance(record, WebhookTask):
            return self._due(source, record)
        if not isinstance(record, PublicEvent):
            raise CodecError(f"is a {type(record).__name__}, which is no webhook")
        event, list_number = event_name(record), list_of(record)
        wanted = [
            endpoint
            for endpoint in self._accounts.endpoints_of(record.account)
            if event in endpoint.events and (not endpoint.lists or list_number in endpoint.lists)
        ]
        if not wanted:
            self.window.admit(ledger, message.offset, 0, 0)
            return []
        body, contact = body_of(record), contact_of(record)
        lanes = [self._lane(f"{endpoint.account}/{endpoint.id}", endpoint) for endpoint in wanted]
        admission = self.window.admit(ledger, message.offset, len(body), len(wanted))
        return [(lane, Delivery(lane.name, record.event_id, event, body, contact, admission)) for lane in lanes]

    def _due(self, source: Admitted, task: WebhookTask) -> list[tuple[Lane, Delivery]]:
        config = self._accounts.endpoints.get(task.endpoint)
        if config is None:
            self.window.admit(source.ledger, source.record.offset, 0, 0)
            self._drop(task.endpoint, task.event_id)
            return []
        headers = TaskHeaders.decode(source.record.headers)
        admission = self.window.admit(source.ledger, source.record.offset, len(task.body), 1)
        delivery = Delivery(
            task.endpoint,
            task.event_id,
            task.event,
            task.body,
            None,
            admission,
            headers.attempt,
            headers.first_attempt_at,
            headers.origin,
        )
        return [(self._lane(task.endpoint, config), delivery)]

    def _lane(self, name: str, config: EndpointConfig) -> Lane:
        lane = self.lanes.get(name)
        if lane is None:
            lane = self.lanes[name] = Lane(
                name,
                config,
                post=self._post,
                owner=self,
                cap=self._cap,
                longest_rest=self._schedule[0].delay_ms / 1000,
                clock=self._clock,
            )
        lane.saw(self.counts.events)
        return lane

    async def _place(self, lane: Lane, delivery: Delivery, epoch: int) -> None:
        reason = lane.offer(delivery) if self.window.epoch == epoch else None
        if reason == "overflow" and lane.worth_waiting:
            place = await lane.wait_for_place()
            reason = lane.offer(delivery, place=place) if self.window.epoch == epoch else None
        if self.window.epoch != epoch:
            self.window.abandon(delivery.admission)
        elif reason is not None:
            self.deferred(delivery, reason)

    def attempted(self, delivery: Delivery, outcome: Outcome) -> None:
        """An attempt was made."""
        self.counts.attempts[outcome.label] += 1
        if outcome.ok:
            self.window.settle(delivery.admission)
        else:
            self._failed(delivery, outcome)

    def deferred(self, delivery: Delivery, reason: Deferral) -> None:
        """A delivery will not be tried soon. An open breaker counts as an attempt, so that retries end."""
        self.counts.deferred[reason] += 1
        if reason == "deleted":
            self._drop(delivery.endpoint, delivery.event_id)
            self.window.settle(delivery.admission)
        elif reason == "breaker_open":
            self._failed(delivery, _BREAKER_OPEN)
        else:
            self._wait(delivery, _WITHOUT_ATTEMPT[reason](delivery.attempt, self._schedule))

    def abandoned(self, delivery: Delivery) -> None:
        """A queued delivery was let go of."""
        self.window.abandon(delivery.admission)

    def broken(self, error: BaseException) -> None:
        """Nothing can be gone on from: the worker stops, and recovers from the log."""
        if self._crashing is None:
            log.critical("webhooks stop: %s: %s", type(error).__name__, error)
            self._crashing = asyncio.ensure_future(_awaited(self._crash(error)))

    def _let_go(self) -> None:
        for lane in self.lanes.values():
            lane.let_go()

    def _drop(self, endpoint: str, event_id: str) -> None:
        self.counts.dropped += 1
        log.info("endpoint %s no longer exists: webhook %s is dropped", endpoint, event_id)

    def _failed(self, delivery: Delivery, outcome: Outcome) -> None:
        if delivery.first_attempt_at is None:
            delivery.first_attempt_at = self._clock.now_ms()
        step = next_step(delivery.attempt, outcome, self._schedule)
        if isinstance(step, Retry):
            self.counts.retried[step.tier.name] += 1
            self._wait(delivery, step)
        else:
            self.counts.dead += 1
            log.debug("webhook %s for %s is given up: %s", delivery.event_id, delivery.endpoint, outcome.label)
            record, headers = dead(delivery, outcome, self._clock.now_ms())
            self._write("webhooks_dead", record, headers, delivery)

    def _wait(self, delivery: Delivery, step: Retry) -> None:
        record, headers = waiting(delivery, step, self._clock.now_ms())
        self._write(f"webhooks_retry.{step.tier.name}", record, headers, delivery)

    def _write(self, topic: str, record: Record, headers: Headers, delivery: Delivery) -> None:
        name, key = self._catalogue[topic].name, delivery.endpoint.encode()
        self._outbox.put(Outgoing(name, record, key, headers, delivery.admission))

    def _reject(self, source: Admitted, reason: str, error: str) -> None:
        message = source.record
        admission = self.window.admit(source.ledger, message.offset, len(message.value or b""), 1)
        record, headers = rejected(admission, reason, error, self._clock.now_ms(), source)
        self._write_rejected(Outgoing(self._rejected_topic, record, message.key, headers, admission), reason)
        self._limit.record(failed=True)

    def _too_large(self, outgoing: Outgoing) -> None:
        if isinstance(outgoing.record, RejectedRecord):
            self.broken(RuntimeError("the rejected topic does not take a record for its size"))
            return
        error = f"too large for {outgoing.topic}; the source record has all of it"
        record, headers = rejected(outgoing.admission, "too_large", error, self._clock.now_ms())
        self._write_rejected(
            Outgoing(self._rejected_topic, record, outgoing.key, headers, outgoing.admission), "too_large"
        )

    def _write_rejected(self, outgoing: Outgoing, reason: str) -> None:
        self.counts.rejected[reason] += 1
        log.error("%s is in the rejected topic: %s", outgoing.admission.origin, reason)
        self._outbox.put(outgoing)


async def _awaited(awaitable: Awaitable[None]) -> None:
    await awaitable
