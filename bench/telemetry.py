"""The cost of spans: `python -m bench.telemetry` prints processor time per event, from the callback to its attempt.

An event is a request to ingest, a record in a batch of `normalize`, one in a batch of `contacts`, and an attempt. The
bench measures what spans add, including their export: they are encoded but not sent. Its own cost is in the line `off`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from statistics import median
from types import SimpleNamespace
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from bus.telemetry.pipeline import tracing_to
from bus.telemetry.tracing import Tracing
from bus.worker.inbox import Admitted
from schemas.topics import Catalogue

EVENTS, BATCH, RUNS = 20_000, 100, 5
RAW = Catalogue()["raw"].name

CASES = {"off": None, "on, none recorded": "0", "on, 1 % recorded": "0.01", "on, all recorded": "1"}


class Encoder(SpanExporter):
    """Encodes spans as for the wire."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Encode, and discard."""
        encode_spans(spans).SerializeToString()
        return SpanExportResult.SUCCESS


def main() -> None:
    """Print the medians of all cases, which take turns."""
    found: dict[str, list[float]] = {case: [] for case in CASES}
    for _ in range(RUNS):
        for case, ratio in CASES.items():
            found[case].append(_measured(ratio))
    for case, seconds in found.items():
        print(f"{case:20} {median(seconds) / EVENTS * 1e6:7.2f} us an event")


def _measured(ratio: str | None) -> float:
    tracing = processor = None
    if ratio is not None:
        os.environ |= {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": ratio}
        processor = BatchSpanProcessor(Encoder(), max_queue_size=EVENTS * 10)
        tracing = tracing_to(processor, Resource({}))
    began = time.process_time()
    for _ in range(EVENTS // BATCH):
        traces = [_callback(tracing) for _ in range(BATCH)]
        for stage in ("normalize", "contacts"):
            traces = _staged(tracing, stage, traces)
        for trace in traces:
            _attempted(tracing, trace)
    if processor is not None:
        processor.shutdown()
    return time.process_time() - began


# As in the services: without telemetry, a comparison with None.


def _callback(tracing: Tracing | None) -> bytes | None:
    if tracing is None:
        return None
    step = tracing.callback("POST", "/api/webhook-feedbacks/{provider}", "infobip", None)
    step.note(account="acme")
    step.answered(200)
    step.end()
    return step.traceparent


def _staged(tracing: Tracing | None, stage: str, traces: list[bytes | None]) -> list[bytes | None]:
    ledger: Any = None
    sources = [
        Admitted(ledger, SimpleNamespace(topic=RAW, partition=0, offset=n, headers=[("traceparent", trace)]))
        for n, trace in enumerate(traces)
    ]
    work = None if tracing is None else tracing.begin(stage, sources)
    if work is not None:
        sources = work.sources
        work.end()
    return [source.traceparent for source in sources]


def _attempted(tracing: Tracing | None, trace: bytes | None) -> None:
    step = None if tracing is None else tracing.attempt("acme/crm", "delivery", 1, trace)
    if step is not None:
        step.answered(200)
        step.end()


if __name__ == "__main__":
    main()
