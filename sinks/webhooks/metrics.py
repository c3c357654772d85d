"""The webhook sink's metrics: plain numbers on the hot path, exported on each scrape."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bus.health import Health
from bus.measures import Distribution, Distributions, Labels, Tally
from bus.metrics import METRICS
from sinks.webhooks.delay_tiers import DelayTier
from sinks.webhooks.delivery import STAGE, Delivery
from sinks.webhooks.fanout import CALLBACKS, is_callback_lane
from sinks.webhooks.lane import Lane

_NUMBER = re.compile(r"\d{7,}")


@dataclass(slots=True)
class WebhookCounts:
    """Totals since the process started."""

    attempts: Counter[str] = field(default_factory=Counter)
    """Attempts by outcome: `2xx`, `4xx`, `5xx`, and so on, or the error class."""

    retried: Counter[str] = field(default_factory=Counter)
    """Failed attempts followed by a wait, by delay: `1m`."""

    deferred: Counter[str] = field(default_factory=Counter)
    """Webhooks written to a delay topic without an attempt, by reason (`lanes.Deferral`)."""

    dead: int = 0
    """Webhooks given up after the last retry."""

    dropped: int = 0
    """Webhooks whose endpoint no longer exists."""

    rejected: Counter[str] = field(default_factory=Counter)
    """Rejected records, by reason."""

    events: int = 0
    """Events and due webhooks taken."""

    seconds: Distributions = field(
        default_factory=lambda: Distributions(METRICS["trackly_sinks_attempt_seconds"].buckets)
    )
    """Duration of attempts, by outcome."""

    first: Distribution = field(
        default_factory=lambda: Distribution(METRICS["trackly_sinks_first_attempt_seconds"].buckets)
    )
    """Seconds from receiving a callback to the start of the first attempt."""

    by_endpoint: Tally = field(default_factory=Tally)
    """Attempts by endpoint and result."""

    def attempted(self, delivery: Delivery, label: str, ok: bool, seconds: float, now_ms: int) -> None:
        """Count an attempt that ended `now_ms`, after `seconds`."""
        self.attempts[label] += 1
        self.seconds[label,].observe(seconds)
        self.by_endpoint.add(endpoint_label(delivery.endpoint), "delivered" if ok else "failed")
        if delivery.received_at is not None:
            self.first.observe((now_ms - delivery.received_at) / 1000 - seconds)


class ClientCounts(Protocol):
    """Counters of the HTTP client (`outbound.sender.Sender`)."""

    requests: int
    connections: int


class AttemptCounts(Protocol):
    """Counters of the log of attempts (`sinks.webhooks.attempt_log.AttemptLog`)."""

    lost: int


def endpoint_label(name: str) -> str:
    """Return a lane's label: `account/id`, without anything that may be a phone number, and never a host."""
    return CALLBACKS if is_callback_lane(name) else _NUMBER.sub("…", name)


def export_webhooks(health: Health, counts: WebhookCounts, client: ClientCounts, attempts: AttemptCounts) -> None:
    """Export webhook counters."""
    totals: dict[str, Callable[[], float]] = {
        "events": lambda: counts.events,
        "webhooks_dead": lambda: counts.dead,
        "webhooks_dropped": lambda: counts.dropped,
        "http_requests": lambda: client.requests,
        "http_connections": lambda: client.connections,
        "attempts_not_logged": lambda: attempts.lost,
    }
    for name, read in totals.items():
        health.gauge(name, read)
    health.export("webhook_attempts", lambda: _labelled(counts.attempts))
    health.export("webhooks_retried", lambda: _labelled(counts.retried))
    health.export("webhooks_deferred", lambda: _labelled(counts.deferred))
    health.export_distributions("attempt_seconds", counts.seconds)
    first = Distributions(())
    first[()] = counts.first
    health.export_distributions("first_attempt_seconds", first)
    health.export("endpoint_attempts", lambda: counts.by_endpoint)


def export_lanes(health: Health, lanes: Mapping[str, Lane]) -> None:
    """Export lane metrics. Callback lanes are combined."""

    def by_endpoint(read: Callable[[Lane], float]) -> Tally:
        found = Tally()
        for name, lane in lanes.items():
            found.add(endpoint_label(name), by=read(lane))
        return found

    health.export("endpoint_queued", lambda: by_endpoint(lambda lane: lane.queued))
    health.export("endpoint_failing", lambda: by_endpoint(lambda lane: lane.paused or not lane.breaker.closed))


def export_delays(health: Health, tiers: Callable[[], Iterable[DelayTier]]) -> None:
    """Export the delay topics' punctuality."""

    def by_delay(read: Callable[[DelayTier], float]) -> dict[Labels, float]:
        return {(tier.delay,): read(tier) for tier in tiers()}

    health.export("delay_overdue_seconds", lambda: by_delay(lambda tier: tier.overdue()))
    health.export("delay_released", lambda: by_delay(lambda tier: tier.released))


def rejected_of(counts: WebhookCounts) -> dict[Labels, float]:
    """Return the sink's rejections, in the form of `trackly_rejected_records_total`."""
    return {(STAGE, reason): count for reason, count in counts.rejected.items()}


def _labelled(counts: Mapping[str, int]) -> dict[Labels, float]:
    return {(key,): count for key, count in counts.items()}
