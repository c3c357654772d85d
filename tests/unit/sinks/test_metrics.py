"""What `/metrics` says of webhooks."""

from __future__ import annotations

from types import SimpleNamespace

from prometheus_client import CollectorRegistry, generate_latest

from sinks.metrics import WebhookCounts, WebhookMetrics


def test_counts_are_exported_by_outcome_and_reason() -> None:
    counts = WebhookCounts(events=7, dead=1)
    counts.attempts["2xx"] += 5
    counts.deferred["breaker_open"] += 2
    registry = CollectorRegistry()
    registry.register(
        WebhookMetrics(counts, SimpleNamespace(requests=5, connections=1), SimpleNamespace(lost=3), {"dropped": 4})
    )
    lines = generate_latest(registry).decode().splitlines()
    assert "trackly_sinks_events_total 7.0" in lines
    assert "trackly_sinks_webhooks_dead_total 1.0" in lines
    assert 'trackly_sinks_forwarded_total{outcome="dropped"} 4.0' in lines
    assert "trackly_sinks_http_requests_total 5.0" in lines
    assert "trackly_sinks_http_connections_total 1.0" in lines
    assert "trackly_sinks_attempts_not_logged_total 3.0" in lines
    assert 'trackly_sinks_webhook_attempts_total{outcome="2xx"} 5.0' in lines
    assert 'trackly_sinks_webhooks_deferred_total{reason="breaker_open"} 2.0' in lines
