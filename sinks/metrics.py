"""What the webhook sink counts: plain numbers on the way of a webhook, exported when `/metrics` is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

PREFIX = "trackly_sinks_"


@dataclass(slots=True)
class WebhookCounts:
    """Totals since the process started."""

    attempts: Counter[str] = field(default_factory=Counter)
    """Attempts by outcome: `2xx`, `4xx`, `5xx` and so on, or the error class."""

    retried: Counter[str] = field(default_factory=Counter)
    """Failed attempts that were followed by a wait, by delay: `1m`."""

    deferred: Counter[str] = field(default_factory=Counter)
    """Webhooks that were written to a delay topic without an attempt, by reason (`lanes.Deferral`)."""

    dead: int = 0
    """Webhooks given up after the last retry."""

    dropped: int = 0
    """Webhooks whose endpoint no longer exists."""

    rejected: Counter[str] = field(default_factory=Counter)
    """Records put into the rejected topic, by reason."""

    events: int = 0
    """Events and due webhooks taken."""


class ClientCounts(Protocol):
    """What is counted of the HTTP client (`outbound.sender.Sender`)."""

    requests: int
    connections: int


class AttemptCounts(Protocol):
    """What is counted of the log of attempts (`sinks.attempts.AttemptLog`)."""

    lost: int


class WebhookMetrics(Collector):
    """The counts in Prometheus' form. Labels are outcomes, delays and reasons: never an endpoint or a number."""

    def __init__(
        self, counts: WebhookCounts, client: ClientCounts, attempts: AttemptCounts, forwarded: Mapping[str, int]
    ) -> None:
        self._counts = counts
        self._client = client
        self._attempts = attempts
        self._forwarded = forwarded

    def collect(self) -> Iterator[CounterMetricFamily]:
        """All counters."""
        counts = self._counts
        yield _total("events", "Events and due webhooks taken.", counts.events)
        yield _total("webhooks_dead", "Webhooks given up after the last retry.", counts.dead)
        yield _total("webhooks_dropped", "Webhooks whose endpoint no longer exists.", counts.dropped)
        yield _total("http_requests", "Requests that were sent.", self._client.requests)
        yield _total(
            "http_connections", "Connections opened; as many requests less used one again.", self._client.connections
        )
        yield _total("attempts_not_logged", "Attempts missing from the log of attempts.", self._attempts.lost)
        yield _by("webhook_attempts", "Attempts by outcome.", "outcome", counts.attempts)
        yield _by("webhooks_retried", "Failed attempts that were followed by a wait.", "delay", counts.retried)
        yield _by("webhooks_deferred", "Webhooks put off without an attempt.", "reason", counts.deferred)
        yield _by("forwarded", "Raw items by outcome; dropped: too many waited.", "outcome", self._forwarded)
        yield _by("records_rejected", "Records put into the rejected topic.", "reason", counts.rejected)


class AlertMetrics(Collector):
    """What came of alerts, by channel. An outcome is `told`, or what an alert was given up with."""

    def __init__(self, counts: Mapping[tuple[str, str], int]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[CounterMetricFamily]:
        """All counters."""
        meaning = "Alerts by channel and outcome: told, or the status or error that they were given up with."
        family = CounterMetricFamily(PREFIX + "alerts", meaning, labels=["channel", "outcome"])
        for labels, value in self._counts.items():
            family.add_metric(labels, value)
        yield family


def _total(name: str, meaning: str, value: int) -> CounterMetricFamily:
    return CounterMetricFamily(PREFIX + name, meaning, value=value)


def _by(name: str, meaning: str, label: str, values: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(PREFIX + name, meaning, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
