"""Logs are exported by OTLP: the text, its subject, its trace; for an error, its class and place."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

from bus.logs import about
from bus.telemetry.logs import OtlpHandler

NUMBER = "+1 555 000 1111"
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def exporter() -> Iterator[InMemoryLogRecordExporter]:
    exporter, provider = InMemoryLogRecordExporter(), LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    handler = OtlpHandler(provider)
    loggers = [logging.getLogger(name) for name in ("streams.test", "opentelemetry.test")]
    for logger in loggers:
        logger.addHandler(handler)
    yield exporter
    for logger in loggers:
        logger.removeHandler(handler)


def told(exporter: InMemoryLogRecordExporter) -> ReadableLogRecord:
    [record] = exporter.get_finished_logs()
    return record


def test_a_line_has_its_text_its_trace_and_what_it_is_about(exporter: InMemoryLogRecordExporter) -> None:
    extra = about(traceparent=TRACE, account="acme", topic="sms.raw", partition=3)
    logging.getLogger("streams.test").warning("%d reports wait", 7, extra=extra)
    found = told(exporter)
    record = found.log_record
    assert (record.body, record.severity_text) == ("7 reports wait", "WARN")
    assert record.trace_id == 0x0AF7651916CD43DD8448EB211C80319C
    assert dict(record.attributes or {}) == {
        "trackly.account": "acme",
        "trackly.topic": "sms.raw",
        "trackly.partition": 3,
    }
    assert found.instrumentation_scope is not None
    assert found.instrumentation_scope.name == "streams.test"


def test_an_error_has_its_class_and_place_and_not_its_words(exporter: InMemoryLogRecordExporter) -> None:
    try:
        int(NUMBER)
    except ValueError:
        logging.getLogger("streams.test").exception("a record cannot be read")
    attributes = dict(told(exporter).log_record.attributes or {})
    assert attributes["exception.type"] == "ValueError"
    assert "test_logs_by_otlp.py" in str(attributes["exception.stacktrace"])
    assert NUMBER not in str(attributes)


def test_what_the_export_says_of_itself_is_not_exported(exporter: InMemoryLogRecordExporter) -> None:
    logging.getLogger("opentelemetry.test").error("the collector does not answer")
    assert not exporter.get_finished_logs()
