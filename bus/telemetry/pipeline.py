"""Assembles OpenTelemetry's SDK for one process: resource, signals, and protocols.

Nothing is global: frameworks that instrument themselves when they find a global provider would write URLs with secrets
into spans.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any
from uuid import uuid4

from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from bus.telemetry.environment import Signal, metric_interval
from bus.telemetry.metrics import MetricExport
from bus.telemetry.tracing import Tracing
from bus.version import version

STOP_SECONDS = 5.0
"""Seconds for the final flush. A silent collector must not delay the exit any longer."""

_EXPORTERS: dict[Signal, tuple[str, str]] = {
    "traces": ("trace_exporter", "OTLPSpanExporter"),
    "metrics": ("metric_exporter", "OTLPMetricExporter"),
    "logs": ("_log_exporter", "OTLPLogExporter"),
}


class Pipeline:
    """What a process exports. `tracing` and `metrics` are None if they are off."""

    def __init__(self, service: str, instance: str | None, wanted: Mapping[Signal, str]) -> None:
        resource = resource_of(service, instance)
        self.tracing: Tracing | None = None
        self.metrics: MetricExport | None = None
        self._ends: list[Callable[[], object]] = []
        self._handler: logging.Handler | None = None
        if "traces" in wanted:
            self.tracing = self._traces(resource, BatchSpanProcessor(exporter("traces", wanted)))
        if "metrics" in wanted:
            self.metrics = MetricExport(exporter("metrics", wanted), resource, metric_interval(os.environ))
            self._ends.append(self.metrics.stop)
        if "logs" in wanted:
            self._handler = self._logs(resource, exporter("logs", wanted))

    def _traces(self, resource: Resource, processor: SpanProcessor) -> Tracing:
        self._ends.append(processor.shutdown)
        return tracing_to(processor, resource)

    def _logs(self, resource: Resource, exporter: Any) -> logging.Handler:
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

        from bus.logs import Repeats, not_of_mode
        from bus.telemetry.logs import OtlpHandler

        provider = LoggerProvider(resource, shutdown_on_exit=False)
        provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
        self._ends.append(provider.shutdown)
        handler = OtlpHandler(provider)
        handler.addFilter(not_of_mode)
        handler.addFilter(Repeats())
        logging.getLogger().addHandler(handler)
        return handler

    def stop(self) -> None:
        """Flush and shut down."""
        if self._handler is not None:
            logging.getLogger().removeHandler(self._handler)
        threads = [threading.Thread(target=end, daemon=True) for end in self._ends]
        for thread in threads:
            thread.start()
        until = time.monotonic() + STOP_SECONDS
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))


def tracing_to(processor: SpanProcessor, resource: Resource) -> Tracing:
    """Return a tracer whose spans go to this processor."""
    traces = TracerProvider(resource=resource, shutdown_on_exit=False)
    batches = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False)
    for provider in (traces, batches):
        provider.add_span_processor(processor)
    return Tracing(traces, batches)


def resource_of(service: str, instance: str | None) -> Resource:
    """Describe the process; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES override it."""
    ours = {
        "service.name": f"trackly-{service.replace('_', '-')}",
        "service.version": version(),
        "service.instance.id": instance or str(uuid4()),
    }
    return Resource.create().merge(Resource(ours)).merge(OTELResourceDetector().detect())


def exporter(signal: Signal, wanted: Mapping[Signal, str]) -> Any:
    """Return OpenTelemetry's own exporter, which reads the remaining variables. Raises ModuleNotFoundError."""
    module, name = _EXPORTERS[signal]
    protocol = "grpc" if wanted[signal] == "grpc" else "http"
    return getattr(import_module(f"opentelemetry.exporter.otlp.proto.{protocol}.{module}"), name)()
