"""Spans along an event's path: callback -> normalize -> contacts -> attempt.

ingest decides which traces are recorded (head sampling, `OTEL_TRACES_SAMPLER`); the other stages follow the record's
`traceparent` and create no spans for unrecorded traces. A batch with a recorded record is a trace of its own: its span
and those of the records link to each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, Protocol, Self, TypeVar

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    TracerProvider,
    set_span_in_context,
)

from bus.clock import now_ns
from bus.telemetry.traceparent import SpanReference, is_sampled, place_of
from bus.version import version

SCOPE = "trackly"

MOST_LINKS = 128
"""Maximum links of a span: OpenTelemetry's default (OTEL_SPAN_LINK_COUNT_LIMIT). A batch has up to 500 records."""

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


class TakenRecord(Protocol):
    """A record taken by a stage (`bus.worker.inbox.Admitted`)."""

    @property
    def record(self) -> Any:
        """The record from Kafka."""

    @property
    def trace(self) -> bytes | None:
        """Traceparent of the span that processes it."""

    @property
    def traceparent(self) -> bytes | None:
        """Traceparent for everything that follows from it."""

    def _replace(self, *, trace: bytes) -> Self:
        """Return a copy with a span."""


S = TypeVar("S", bound=TakenRecord)


class TracedSpan:
    """A span in progress."""

    __slots__ = ("_span", "traceparent")

    def __init__(self, span: Span) -> None:
        self._span = span
        context = span.get_span_context()
        self.traceparent = SpanReference(context.trace_id, context.span_id, context.trace_flags.sampled).encode()
        """Traceparent that following spans refer to."""

    def note(self, **attributes: str | int | None) -> None:
        """Add attributes named `trackly.…`. None: the value is unknown."""
        for name, value in attributes.items():
            if value is not None:
                self._span.set_attribute(f"trackly.{name}", value)

    def answered(self, status: int | None) -> None:
        """Add an HTTP status."""
        if status is not None:
            self._span.set_attribute("http.response.status_code", status)

    def end(self, error: str | None = None, at: int | None = None) -> None:
        """End the span, with an error code or class name if it failed. `at` is in ns."""
        if error is not None:
            self._span.set_attribute("error.type", error)
            self._span.set_status(StatusCode.ERROR)
        self._span.end(at)


class BatchSpans(Generic[S]):
    """The spans of a batch: one for the batch, and one for each recorded record.

    `sources` are the batch's records; recorded ones pass their span on to what follows from them.
    """

    def __init__(self, batch: TracedSpan, sources: list[S], spans: dict[bytes, TracedSpan]) -> None:
        self.sources = sources
        self._batch = batch
        self._spans = spans

    def rejected(self, source: TakenRecord, reason: str) -> None:
        """Note that a record, or one of its items, was rejected."""
        if source.trace is not None:
            self._spans[source.trace].note(rejected=reason)

    def end(self, error: str | None = None) -> None:
        """End with the batch durable, or with what happened instead. Only the first call counts."""
        spans, self._spans = self._spans, {}
        now = now_ns()
        for span in (*spans.values(), self._batch) if spans else ():
            span.end(error, now)


class Tracing:
    """Creates spans. `traces` samples as configured; `batches` records everything; both export to the same place."""

    def __init__(self, traces: TracerProvider, batches: TracerProvider) -> None:
        self._start: Callable[..., Span] = traces.get_tracer(SCOPE, version()).start_span
        self._start_root: Callable[..., Span] = batches.get_tracer(SCOPE, version()).start_span

    def callback(self, method: str, route: str, provider: str, traceparent: bytes | None) -> TracedSpan:
        """Start the span of a request to ingest. `route` is a template; the header is the incoming one."""
        attributes = {
            "http.request.method": method if method in _METHODS else "_OTHER",
            "http.route": route,
            "trackly.provider": provider,
        }
        return TracedSpan(
            self._start("callback", _within(traceparent), SpanKind.SERVER, attributes, record_exception=False)
        )

    def begin(self, stage: str, sources: Sequence[S]) -> BatchSpans[S] | None:
        """Start the spans of records that a stage has taken; None if none is recorded."""
        now = now_ns()
        recorded = [source.traceparent for source in sources if is_sampled(source.traceparent)]
        if not recorded:
            return None
        batch = self._start_root(
            f"{stage} batch", None, SpanKind.CONSUMER, _attributes(stage, len(sources)), _links(recorded), now
        )
        link = [Link(batch.get_span_context())]
        spans: dict[bytes, TracedSpan] = {}
        traced = []
        for source in sources:
            trace = source.traceparent
            if is_sampled(trace):
                record = source.record
                attributes = _attributes(stage) | {
                    "messaging.destination.name": record.topic,
                    "messaging.destination.partition.id": str(record.partition),
                    "messaging.kafka.offset": record.offset,
                }
                span = TracedSpan(self._start(stage, _within(trace), SpanKind.CONSUMER, attributes, link, now))
                spans[span.traceparent] = span
                source = source._replace(trace=span.traceparent)
            traced.append(source)
        return BatchSpans(TracedSpan(batch), traced, spans)

    def attempt(
        self, endpoint: str, event: str, attempt: int, traceparent: bytes | None, parts: Sequence[bytes | None] = ()
    ) -> TracedSpan | None:
        """Start the span of a request to an endpoint; None if its event is not recorded.

        A request with several events is a trace of its own, linked to those of `parts`.
        """
        attributes = {
            "http.request.method": "POST",
            "trackly.endpoint": endpoint,
            "trackly.event": event,
            "trackly.attempt": attempt,
        }
        if recorded := [each for each in parts if is_sampled(each)]:
            attributes["messaging.batch.message_count"] = len(parts)
            return TracedSpan(self._start_root("attempt", None, SpanKind.CLIENT, attributes, _links(recorded)))
        if not is_sampled(traceparent):
            return None
        return TracedSpan(self._start("attempt", _within(traceparent), SpanKind.CLIENT, attributes))


def span_context(traceparent: bytes | None) -> SpanContext | None:
    """Convert a header for OpenTelemetry."""
    place = place_of(traceparent)
    if place is None:
        return None
    return SpanContext(place.trace_id, place.span_id, is_remote=True, trace_flags=TraceFlags(place.sampled))


def _within(traceparent: bytes | None) -> Context:
    context = span_context(traceparent)
    # Never use the task's context: it is unrelated to the record.
    return Context() if context is None else set_span_in_context(NonRecordingSpan(context), Context())


def _links(traceparents: Iterable[bytes | None]) -> list[Link]:
    contexts = dict.fromkeys(traceparents)
    return [Link(context) for each in list(contexts)[:MOST_LINKS] if (context := span_context(each)) is not None]


def _attributes(stage: str, count: int | None = None) -> dict[str, str | int]:
    found: dict[str, str | int] = {
        "messaging.system": "kafka",
        "messaging.operation.type": "process",
        "trackly.stage": stage,
    }
    if count is not None:
        found["messaging.batch.message_count"] = count
    return found
