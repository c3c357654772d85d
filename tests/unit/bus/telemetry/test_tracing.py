"""The spans along a callback's path, connected by the header of its records."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from bus.ledger import Ledger, TopicPartition
from bus.memory import MemoryKafka, Record
from bus.telemetry import current
from bus.telemetry.pipeline import tracing_to
from bus.telemetry.traceparent import SpanReference, is_sampled, place_of
from bus.telemetry.tracing import Tracing
from bus.worker.batch import Batch
from bus.worker.batches import batches
from bus.worker.context import Context
from bus.worker.inbox import Admitted, Inbox
from inbound.server import NO_TELEMETRY
from outbound.outcomes import answered
from schemas.cloudevents import header
from schemas.records import AccountConfig
from sinks.webhooks.delivery import Delivery, batch_of
from sinks.webhooks.lane import Lane
from sinks.webhooks.lane_setup import LaneSetup
from sinks.webhooks.window import Admission
from tests.clock import MovedClock, settled
from tests.unit.ingest.ingest_parts import Door
from tests.unit.sinks.sink_parts import Receiver, endpoint, ledger

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NOT_RECORDED = f"{TRACE[:-2]}00"
ACME = AccountConfig(id="acme", name="Acme Media")
NUMBER, SECRET = "15550001111", "s3cret-in-a-path"


class Spans:
    """What is recorded."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracing: Tracing = tracing_to(SimpleSpanProcessor(self.exporter), Resource({}))

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        [span] = self.named(name)
        return span


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Spans:
    made = Spans()
    monkeypatch.setattr(current, "tracing", lambda: made.tracing)
    return made


def place(span: ReadableSpan) -> str:
    context = span.get_span_context()
    assert context is not None
    return SpanReference(context.trace_id, context.span_id, context.trace_flags.sampled).encode().decode()


def parent(span: ReadableSpan) -> str | None:
    return (
        None
        if span.parent is None
        else SpanReference(span.parent.trace_id, span.parent.span_id, True).encode().decode()
    )


def links(span: ReadableSpan) -> set[str]:
    return {SpanReference(link.context.trace_id, link.context.span_id, True).encode().decode() for link in span.links}


# ingest


async def posted(directory: Path, path: str = "infobip?account=acme", **headers: str) -> tuple[httpx.Response, Door]:
    door = Door(directory, ACME, bootstrap_servers="unused:9092", lime_webhook_secret=SECRET)
    url = f"/api/webhook-feedbacks/{path}"
    return await door.request("POST", url, json={"results": [{"to": NUMBER}]}, headers=headers), door


async def test_a_callback_is_a_span_that_its_record_names(spans: Spans, tmp_path: Path) -> None:
    answer, door = await posted(tmp_path, traceparent=TRACE)
    assert answer.status_code == 200, answer.text
    span = spans.one("callback")
    assert (span.kind, parent(span)) == (SpanKind.SERVER, TRACE)
    assert dict(span.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/api/webhook-feedbacks/{provider}",
        "http.response.status_code": 200,
        "trackly.provider": "infobip",
        "trackly.account": "acme",
    }
    [record] = door.kafka.sent
    assert header(record.headers, "traceparent") == place(span).encode()


async def test_a_callback_without_a_trace_begins_one(spans: Spans, tmp_path: Path) -> None:
    await posted(tmp_path, traceparent="00-none")
    assert spans.one("callback").parent is None


async def test_what_the_caller_does_not_record_is_not_recorded(spans: Spans, tmp_path: Path) -> None:
    _, door = await posted(tmp_path, traceparent=NOT_RECORDED)
    assert not spans.exporter.get_finished_spans()
    assert not is_sampled(header(door.kafka.sent[0].headers, "traceparent"))


async def test_a_part_of_all_callbacks_is_recorded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    few = Spans()
    monkeypatch.setattr(current, "tracing", lambda: few.tracing)
    _, door = await posted(tmp_path)
    assert not few.exporter.get_finished_spans()
    # The others are told so, and do not decide anew.
    assert place_of(header(door.kafka.sent[0].headers, "traceparent")) is not None


async def test_a_refused_callback_has_its_status_and_nothing_of_its_path(spans: Spans, tmp_path: Path) -> None:
    answer, _ = await posted(tmp_path, f"lime/not-{SECRET}?account=acme&to={NUMBER}")
    span = spans.one("callback")
    assert (span.attributes or {})["http.response.status_code"] == answer.status_code == 404
    assert span.status.is_unset


# Stages


class Stage:
    """A stage with an inbox of its own."""

    def __init__(self, tracing: Tracing | None) -> None:
        self.kafka = MemoryKafka()
        self.kafka.tracing = tracing
        self.ledger = Ledger(TopicPartition("sms.raw", 0), 0, generation=1)
        self.inbox = Inbox(["sms.raw"])

    async def run(self, *traces: str | None, process: Callable[[Batch, Admitted], None]) -> None:
        """Process a record of each trace, in one batch."""
        records = [
            Record("sms.raw", 0, n, NUMBER.encode(), b"x", 0, () if t is None else (("traceparent", t.encode()),))
            for n, t in enumerate(traces)
        ]
        self.ledger.expected += len(records)
        self.inbox.put(self.ledger, records)
        task = asyncio.ensure_future(self._run(process))
        while not task.done() and self.ledger.durable < self.ledger.expected:
            await asyncio.sleep(0)
        await settled()
        task.cancel()
        await asyncio.wait([task])

    async def _run(self, process: Callable[[Batch, Admitted], None]) -> None:
        worker: Any = self.kafka
        async for batch in batches(worker, self.inbox, stage="normalize"):
            for source in batch:
                with batch.attempt(source):
                    process(batch, source)


def pass_on(batch: Batch, source: Admitted) -> None:
    """Send an event for a record."""
    batch.send("config_accounts", ACME, Context("e", 1, source.traceparent), key=None)


async def test_each_recorded_record_of_a_batch_is_a_span_that_what_follows_names(spans: Spans) -> None:
    stage, other = Stage(spans.tracing), TRACE.replace("0af7", "1af7")
    await stage.run(TRACE, NOT_RECORDED, None, other, process=pass_on)
    first, second = spans.named("normalize")
    assert (parent(first), parent(second)) == (TRACE, other)
    told = [header(record.headers, "traceparent") for record in stage.kafka.sent]
    assert told == [place(first).encode(), NOT_RECORDED.encode(), None, place(second).encode()]


async def test_a_batch_is_linked_to_its_records_and_they_to_it(spans: Spans) -> None:
    other = TRACE.replace("0af7", "1af7")
    await Stage(spans.tracing).run(TRACE, NOT_RECORDED, other, process=pass_on)
    batch = spans.one("normalize batch")
    assert (batch.parent, links(batch)) == (None, {TRACE, other})
    assert (batch.attributes or {})["messaging.batch.message_count"] == 3
    assert all(links(span) == {place(batch)} for span in spans.named("normalize"))


async def test_a_batch_of_500_has_the_links_that_a_span_may_have(spans: Spans) -> None:
    await Stage(spans.tracing).run(*(f"{TRACE[:3]}{n:032x}{TRACE[35:]}" for n in range(1, 401)), process=pass_on)
    assert len(spans.one("normalize batch").links) == 128
    assert len(spans.named("normalize")) == 400


async def test_nothing_recorded_makes_no_span(spans: Spans) -> None:
    await Stage(spans.tracing).run(NOT_RECORDED, None, "00-none", process=pass_on)
    assert not spans.exporter.get_finished_spans()


async def test_a_rejected_record_says_why(spans: Spans) -> None:
    await Stage(spans.tracing).run(TRACE, process=lambda batch, source: batch.reject(source, "too_odd", NUMBER))
    assert (spans.one("normalize").attributes or {})["trackly.rejected"] == "too_odd"


async def test_spans_of_a_batch_that_does_not_become_durable_are_errors(spans: Spans) -> None:
    def fail(batch: Batch, source: Admitted) -> None:
        raise OSError("the disk is full")

    await Stage(spans.tracing).run(TRACE, process=fail)
    assert [(span.attributes or {})["error.type"] for span in spans.exporter.get_finished_spans()] == [
        "not_durable",
        "not_durable",
    ]


# Attempts


class Owner:
    """A lane and its receiver; gets the lane's reports."""

    def __init__(self, tracing: Tracing | None, name: str = "acme/crm") -> None:
        self.receiver = Receiver()
        owner: Any = self
        setup = LaneSetup(post=self.receiver.post, owner=owner, cap=4, clock=MovedClock(), tracing=tracing)
        self.lane = Lane(name, endpoint(), setup, longest_rest=60.0)

    def attempted(self, *_: object) -> None:
        """Nothing follows."""

    deferred = broken = attempted

    async def sent(self, delivery: Delivery, status: int) -> dict[str, str]:
        """The headers of the request."""
        self.lane.offer(delivery)
        await settled()
        await self.receiver.answer(answered(status))
        return self.receiver.requests[-1].headers


def delivery(trace: str | None, name: str = "acme/crm", **changes: Any) -> Delivery:
    encoded = None if trace is None else trace.encode()
    admission = Admission(ledger(), 0, 0, 1)
    return Delivery(name, "evt_1", "delivery", b"{}", NUMBER, admission, traceparent=encoded, **changes)


async def test_an_attempt_is_a_span_that_the_request_names(spans: Spans) -> None:
    headers = await Owner(spans.tracing).sent(delivery(TRACE, attempt=2), 503)
    span = spans.one("attempt")
    assert (span.kind, parent(span), headers["traceparent"]) == (SpanKind.CLIENT, TRACE, place(span))
    assert dict(span.attributes or {}) == {
        "http.request.method": "POST",
        "http.response.status_code": 503,
        "error.type": "http_status",
        "trackly.endpoint": "acme/crm",
        "trackly.event": "delivery",
        "trackly.attempt": 2,
    }


@pytest.mark.parametrize("trace", [NOT_RECORDED, None])
async def test_an_attempt_of_what_is_not_recorded_makes_no_span(spans: Spans, trace: str | None) -> None:
    headers = await Owner(spans.tracing).sent(delivery(trace), 200)
    assert headers.get("traceparent") == trace
    assert not spans.exporter.get_finished_spans()


async def test_a_request_with_several_events_is_linked_to_them(spans: Spans) -> None:
    other = TRACE.replace("0af7", "1af7")
    parts = [delivery(each, loose=True) for each in (TRACE, NOT_RECORDED, other)]
    owner = Owner(spans.tracing)
    headers = await owner.sent(batch_of(parts), 200)
    span = spans.one("attempt")
    assert (span.parent, links(span), headers["traceparent"]) == (None, {TRACE, other}, place(span))


async def test_hosts_that_senders_choose_are_no_attribute(spans: Spans) -> None:
    name = "acme/~hooks.example.com"
    await Owner(spans.tracing, name).sent(delivery(TRACE, name, url="https://hooks.example.com/x"), 200)
    assert (spans.one("attempt").attributes or {})["trackly.endpoint"] == "acme/callbacks"


# Everywhere


async def test_no_attribute_has_a_number_a_key_a_text_or_a_url(spans: Spans, tmp_path: Path) -> None:
    await posted(tmp_path, f"lime/{SECRET}?account=acme&to={NUMBER}", traceparent=TRACE)
    await Stage(spans.tracing).run(TRACE, process=lambda batch, source: batch.reject(source, "odd", NUMBER))
    await Owner(spans.tracing).sent(delivery(TRACE, url=f"https://x.example/{SECRET}"), 500)
    told = "".join(span.to_json() for span in spans.exporter.get_finished_spans())
    assert len(spans.exporter.get_finished_spans()) == 4
    assert not [word for word in (NUMBER, SECRET, "example", "results") if word in told]


@given(st.binary(max_size=80) | st.from_regex(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", fullmatch=True))
def test_a_header_is_read_as_it_is_written_or_not_at_all(value: bytes) -> None:
    found = place_of(value)
    assert found is None or found.encode()[:53] == value[:53]
    assert is_sampled(value) == (found is not None and found.sampled)


# What a framework would write


@pytest.fixture
def global_spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Set a global provider, as an agent or an environment variable may do."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    yield exporter
    provider.shutdown()


@pytest.mark.parametrize("is_off", [True, False])
async def test_fastapi_writes_no_paths_into_spans_of_a_global_provider(
    global_spans: InMemorySpanExporter, tmp_path: Path, is_off: bool
) -> None:
    """By default, FastAPI would record requests, so turning that off is necessary."""
    app = FastAPI(telemetry=NO_TELEMETRY) if is_off else FastAPI()
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
        await client.get(f"/api/{SECRET}?to={NUMBER}")
    told = "".join(span.to_json() for span in global_spans.get_finished_spans())
    assert (SECRET not in told) is is_off
    if is_off:
        await posted(tmp_path, f"lime/{SECRET}?account=acme")
        assert not global_spans.get_finished_spans()
