"""The metrics of webhooks in `/metrics`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import generate_latest

from bus.health import Health
from sinks.webhooks.delivery import Delivery
from sinks.webhooks.metrics import WebhookCounts, endpoint_label, export_delays, export_lanes, export_webhooks

ADMISSION: Any = None


def delivery(endpoint: str = "acme/crm", received_at: int | None = None) -> Delivery:
    return Delivery(endpoint, "evt_1", "delivery", b"{}", None, ADMISSION, received_at=received_at)


def exported(counts: WebhookCounts) -> list[str]:
    health = Health("sinks")
    client, attempts = SimpleNamespace(requests=5, connections=1), SimpleNamespace(lost=3)
    export_webhooks(health, counts, client, attempts)
    return generate_latest(health.registry).decode().splitlines()


def test_counts_are_exported_by_outcome_and_reason() -> None:
    counts = WebhookCounts(events=7, dead=1)
    counts.deferred["breaker_open"] += 2
    for _ in range(5):
        counts.attempted(delivery(), "2xx", True, 0.1, 0)
    lines = exported(counts)
    assert "trackly_sinks_events_total 7.0" in lines
    assert "trackly_sinks_webhooks_dead_total 1.0" in lines
    assert "trackly_sinks_http_requests_total 5.0" in lines
    assert "trackly_sinks_http_connections_total 1.0" in lines
    assert "trackly_sinks_attempts_not_logged_total 3.0" in lines
    assert 'trackly_sinks_webhook_attempts_total{outcome="2xx"} 5.0' in lines
    assert 'trackly_sinks_webhooks_deferred_total{reason="breaker_open"} 2.0' in lines
    assert 'trackly_sinks_attempt_seconds_bucket{le="0.1",outcome="2xx"} 5.0' in lines
    assert 'trackly_sinks_endpoint_attempts_total{endpoint="acme/crm",result="delivered"} 5.0' in lines


def test_a_first_attempt_is_measured_from_the_callback_to_its_own_beginning() -> None:
    counts = WebhookCounts()
    counts.attempted(delivery(received_at=10_000), "timeout", False, 5.0, now_ms=16_500)
    counts.attempted(delivery(), "2xx", True, 0.1, now_ms=90_000)  # a retry does not know when it was received
    lines = exported(counts)
    assert 'trackly_sinks_first_attempt_seconds_bucket{le="1.0"} 0.0' in lines
    assert 'trackly_sinks_first_attempt_seconds_bucket{le="2.0"} 1.0' in lines
    assert "trackly_sinks_first_attempt_seconds_sum 1.5" in lines
    assert "trackly_sinks_first_attempt_seconds_count 1.0" in lines


@pytest.mark.parametrize(
    ("lane", "label"),
    [
        ("acme/crm", "acme/crm"),
        ("acme/~hooks.example.com:8443", "callbacks"),
        ("acme/+18005551234", "acme/+…"),
        ("acme/crm-2026", "acme/crm-2026"),
    ],
)
def test_a_label_names_an_endpoint_and_neither_a_host_nor_a_number(lane: str, label: str) -> None:
    assert endpoint_label(lane) == label


def test_lanes_are_told_of_by_endpoint_those_of_callbacks_together() -> None:
    def lane(queued: int, closed: bool = True, paused: bool = False) -> Any:
        return SimpleNamespace(queued=queued, breaker=SimpleNamespace(closed=closed), paused=paused)

    health = Health("sinks")
    lanes = {"acme/crm": lane(3), "acme/old": lane(0, closed=False), "acme/~a": lane(1), "acme/~b": lane(2)}
    export_lanes(health, lanes)
    lines = generate_latest(health.registry).decode().splitlines()
    assert 'trackly_sinks_endpoint_queued{endpoint="callbacks"} 3.0' in lines
    assert 'trackly_sinks_endpoint_failing{endpoint="acme/old"} 1.0' in lines
    assert 'trackly_sinks_endpoint_failing{endpoint="acme/crm"} 0.0' in lines


def test_delay_topics_tell_by_how_much_they_are_late() -> None:
    health = Health("sinks")
    tier: Any = SimpleNamespace(delay="1m", released=4, overdue=lambda: 2.5)
    export_delays(health, lambda: [tier])
    lines = generate_latest(health.registry).decode().splitlines()
    assert 'trackly_sinks_delay_overdue_seconds{delay="1m"} 2.5' in lines
    assert 'trackly_sinks_delay_released_total{delay="1m"} 4.0' in lines
