"""The Faust app `sinks`: webhooks, their delay tiers and replays."""

from __future__ import annotations

from typing import Any

from accounts.store import AccountsReader
from bus.app import Worker
from sinks.clock import Clock, SystemClock
from sinks.delays import DelayTiers
from sinks.metrics import WebhookMetrics
from sinks.replay import Replays
from sinks.retry import schedule_of
from sinks.sender import Sender
from sinks.settings import SinksSettings
from sinks.webhooks import TOPICS, WebhookSink


class Sinks(Worker):
    """The worker of the sinks service."""

    def __init__(self, settings: SinksSettings, clock: Clock) -> None:
        super().__init__(settings, "sinks", host=settings.host, port=settings.port)
        self.accounts = AccountsReader(settings, self.codec)
        self.sender = Sender(
            timeout=settings.webhook_timeout,
            allow_http=settings.allow_http,
            allowed=settings.allow_subnets,
            ports=settings.webhook_ports,
        )
        self.webhooks = WebhookSink(
            settings,
            schedule_of(settings.retry_schedule),
            self.inbox(*TOPICS),
            self.accounts.view,
            codec=self.codec,
            catalogue=self.catalogue,
            producer=self.records_producer,
            post=self.sender.post,
            clock=clock,
            crash=self.crash,
        )
        self.delays = DelayTiers(settings, self.records_producer, clock, self.crash)
        self.replays = Replays(
            settings,
            self.accounts.view,
            codec=self.codec,
            producer=self.records_producer,
            clock=clock,
            crash=self.crash,
        )
        self.accounts.on_change.append(self.webhooks.on_change)
        self.before_revoke.append(self.webhooks.drain)
        self.health.registry.register(WebhookMetrics(self.webhooks.counts))
        self.health.gauge("webhooks_in_flight", "Requests under way.", lambda: self.webhooks.in_flight)
        self.health.gauge("replays_running", "Replays under way.", lambda: self.replays.running)
        self.health.gauge("window_events", "Events in work.", lambda: self.webhooks.window.events)

    async def on_start(self) -> None:
        """Read the settings of all endpoints before the first event."""
        await self.accounts.start()
        await self.sender.start()
        await super().on_start()
        await self.delays.start()
        await self.replays.start()

    async def on_stop(self) -> None:
        """Stop releasing webhooks, finish those under way, disconnect."""
        await self.replays.stop()
        await self.delays.stop()
        await super().on_stop()
        self.webhooks.stop()
        await self.sender.stop()
        await self.accounts.stop()


def create_app(settings: SinksSettings, clock: Clock | None = None) -> Sinks:
    """The app with its agent."""
    worker = Sinks(settings, clock or SystemClock())

    @worker.agent(worker.channel(*TOPICS), name="webhooks")  # type: ignore[untyped-decorator]
    async def webhooks(stream: Any) -> None:
        await worker.webhooks.run()

    return worker
