"""The span of an attempt, if its event's trace is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outbound.outcomes import Outcome
from sinks.webhooks.delivery import Delivery
from sinks.webhooks.fanout import CALLBACKS, is_callback_lane

if TYPE_CHECKING:
    from bus.telemetry.tracing import TracedSpan, Tracing


def begun(tracing: Tracing, delivery: Delivery) -> TracedSpan | None:
    """Start the span of an attempt. Hosts chosen by senders are not included."""
    endpoint = delivery.endpoint
    if is_callback_lane(endpoint):
        endpoint = f"{endpoint.partition('/')[0]}/{CALLBACKS}"
    parts = [part.traceparent for part in delivery.parts]
    return tracing.attempt(endpoint, delivery.event, delivery.attempt, delivery.traceparent, parts)


def ended(span: TracedSpan, outcome: Outcome | None) -> None:
    """End the span; None: the attempt was canceled."""
    if outcome is None:
        span.end("cancelled")
        return
    span.answered(outcome.status)
    span.end(outcome.error_class)
