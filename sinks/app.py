"""The Faust app `sinks`: webhooks with their delay tiers and replays, and the other sinks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

from accounts.store import AccountsReader, write_pause
from bus.clock import Clock, SystemClock
from bus.ledger import TopicPartition
from bus.measures import Labels
from bus.producer import partition_of
from bus.worker.app import Worker
from outbound.sender import Sender
from schemas.cloudevents import event_headers
from schemas.records import EndpointAlert, EndpointPause, Record
from sinks.alerts.sink import sink as alerts
from sinks.consumer import Sink, SinkConsumer, SinkParts
from sinks.forwarding import sink as forwarding
from sinks.replays.runner import ReplayRunner
from sinks.settings import SinksSettings
from sinks.webhooks.attempt_log import AttemptLog, answered_since
from sinks.webhooks.delay_tiers import DelayTiers
from sinks.webhooks.loop_lag import LoopLag
from sinks.webhooks.metrics import export_delays, export_lanes, export_webhooks, rejected_of
from sinks.webhooks.parked import ParkedTier
from sinks.webhooks.pausing import PauseRule, Pauses
from sinks.webhooks.retry import schedule_of
from sinks.webhooks.sink import APART, EVENTS, TOPICS, WebhookParts, WebhookSink

SINKS: Mapping[str, Callable[[SinkParts], Sink]] = {
    "forwarding": forwarding,
    "alerts": alerts,
}
"""Sinks besides the webhooks, by consumer group name."""

LAST_ATTEMPTS = 5.0
"""Seconds for which a revocation may wait for the log of attempts."""


class Sinks(Worker):
    """The worker of the sinks service."""

    def __init__(self, settings: SinksSettings, clock: Clock) -> None:
        super().__init__(settings, "sinks", host=settings.host, port=settings.port)
        events = [self.catalogue[topic] for topic in EVENTS]
        self._event_topics = frozenset(topic.name for topic in events)
        self._event_partitions = sum(topic.partitions for topic in events)
        self.accounts = AccountsReader(settings, self.codec)
        self.sender = self._new_sender(settings)
        self.attempts = AttemptLog(self.records_producer, self.codec, self.catalogue["webhooks_attempts"].name)
        schedule = schedule_of(settings.retry_schedule)
        self.webhooks = WebhookSink(
            settings,
            schedule,
            self.inbox(*TOPICS, apart=APART),
            self.accounts.view,
            WebhookParts(
                codec=self.codec,
                catalogue=self.catalogue,
                producer=self.records_producer,
                post=self.sender.post,
                clock=clock,
                crash=self.crash,
                share=self.share,
                lag=LoopLag(),
                tracing=self.tracing,
            ),
            pauses=self._pauses(settings, clock),
            attempts=self.attempts,
        )
        self.forwarder = self._new_sender(settings)
        parts = SinkParts(
            settings,
            self.accounts.view,
            self.accounts.on_change,
            self.codec,
            self.forwarder.post,
            self._write,
            clock,
            self.health,
        )
        self.sinks = [SinkConsumer(name, make(parts), settings, clock) for name, make in SINKS.items()]
        lost = self.losses.tell
        parked = ParkedTier(settings, schedule, self.records_producer, clock, self.webhooks.stays_parked, lost)
        self.delays = DelayTiers(settings, self.records_producer, clock, self.crash, lost, parked=parked)
        self.replays = ReplayRunner(
            settings,
            self.accounts.view,
            codec=self.codec,
            producer=self.records_producer,
            clock=clock,
            crash=self.crash,
        )
        self.accounts.on_change.append(self.webhooks.on_change)
        self.before_revoke.append(self._drain)
        self._export(clock)

    @staticmethod
    def _new_sender(settings: SinksSettings) -> Sender:
        return Sender(
            timeout=settings.webhook_timeout,
            allow_http=settings.allow_http,
            allowed=settings.allow_subnets,
            ports=settings.webhook_ports,
            per_host=settings.connections_per_host,
        )

    def rejections(self) -> dict[Labels, float]:
        """Records rejected by the webhooks, which settle one by one and not in batches."""
        return rejected_of(self.webhooks.counts)

    async def on_start(self) -> None:
        """Read the settings of all endpoints before the first event."""
        await self.accounts.start()
        await self.sender.start()
        await super().on_start()
        self.attempts.start()
        await self.delays.start()
        await self.replays.start()
        await self.forwarder.start()
        for sink in self.sinks:
            sink.start()

    async def on_stop(self) -> None:
        """Stop releasing webhooks, finish those in progress, disconnect."""
        await self.replays.stop()
        await asyncio.gather(*(sink.stop() for sink in self.sinks))
        await self.forwarder.stop()
        await self.delays.stop()
        await self.attempts.stop()
        await super().on_stop()
        self.webhooks.stop()
        await self.sender.stop()
        await self.accounts.stop()

    def share(self) -> float:
        """This process's share of the event partitions."""
        return sum(tp.topic in self._event_topics for tp in self.consumer.ledgers) / self._event_partitions

    def owns(self, endpoint: str) -> bool:
        """Whether this process has the partition of an endpoint's due webhooks."""
        topic = self.catalogue["webhooks_due"]
        number = partition_of(endpoint.encode(), topic.partitions)
        return TopicPartition(topic.name, number) in self.consumer.ledgers

    async def write_pause(self, pause: EndpointPause) -> None:
        """Write an endpoint's pause, acknowledged."""
        await write_pause(self.records_producer, self.bus, self.codec, pause)

    async def tell(self, alert: EndpointAlert) -> None:
        """Write an alert, acknowledged."""
        await self._write("alerts", alert, alert.account, alert.event_id, alert.timestamp)

    async def _write(self, topic: str, record: Record, key: str, event_id: str, at: int) -> None:
        headers = event_headers(record, event_id, at)
        name, value = self.catalogue[topic].name, self.codec.encode(record)
        await (await self.records_producer.send(name, value, key=key.encode(), headers=headers))

    async def _drain(self, timeout: float) -> bool:
        drained = await self.webhooks.drain(timeout)
        # The last attempts are written too, but only for a short time.
        flushing = asyncio.gather(self.attempts.flush(), return_exceptions=True)
        await asyncio.wait([flushing], timeout=LAST_ATTEMPTS)
        return drained

    def _pauses(self, settings: SinksSettings, clock: Clock) -> Pauses:
        return Pauses(
            PauseRule(settings.pause_failures, settings.pause_seconds),
            self.accounts.view,
            clock,
            owns=self.owns,
            answered_since=partial(answered_since, settings, self.codec),
            write=self.write_pause,
            tell=self.tell,
        )

    def _export(self, clock: Clock) -> None:
        webhooks, sender, health = self.webhooks, self.sender, self.health
        export_webhooks(health, webhooks.counts, sender, self.attempts)
        export_lanes(health, webhooks.lanes)
        export_delays(health, lambda: self.delays.tiers)
        health.gauge("webhooks_in_flight", lambda: webhooks.in_flight)
        health.gauge("window_events", lambda: webhooks.window.events)
        health.gauge("window_bytes", lambda: webhooks.window.bytes)
        health.gauge("oldest_parked_seconds", lambda: webhooks.parking.oldest_seconds(clock.now_ms()))


def create_app(settings: SinksSettings, clock: Clock | None = None) -> Sinks:
    """Return the app with its agent."""
    worker = Sinks(settings, clock or SystemClock())

    @worker.stage("webhooks", *TOPICS)
    async def webhooks() -> None:
        await worker.webhooks.run()

    return worker
