"""Exports log lines by OTLP: text, context (`bus.logs.FIELDS`), and trace. Of an exception, only its class and position
are sent: its message may quote a record."""

from __future__ import annotations

import logging
import traceback

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from bus.logs import FIELDS

_SEVERITIES = {
    logging.DEBUG: (SeverityNumber.DEBUG, "DEBUG"),
    logging.INFO: (SeverityNumber.INFO, "INFO"),
    logging.WARNING: (SeverityNumber.WARN, "WARN"),
    logging.ERROR: (SeverityNumber.ERROR, "ERROR"),
    logging.CRITICAL: (SeverityNumber.FATAL, "FATAL"),
}

_OF_THE_EXPORT = ("opentelemetry", "urllib3", "requests", "grpc")
"""Loggers of the export itself, whose failures must not be exported."""


class OtlpHandler(logging.Handler):
    """Hands log records to OpenTelemetry, which sends them off the event loop."""

    def __init__(self, provider: LoggerProvider) -> None:
        super().__init__()
        self._provider = provider
        self.addFilter(lambda record: not record.name.startswith(_OF_THE_EXPORT))

    def emit(self, record: logging.LogRecord) -> None:
        """Hand over one record."""
        try:
            number, text = _SEVERITIES.get(record.levelno, (SeverityNumber.UNSPECIFIED, record.levelname))
            made = LogRecord(
                timestamp=int(record.created * 1e9),
                severity_number=number,
                severity_text=text,
                body=record.getMessage(),
                attributes=_attributes(record),
                context=_context(getattr(record, "trace_id", None)),
            )
            self._provider.get_logger(record.name).emit(made)
        except Exception:
            self.handleError(record)


def _attributes(record: logging.LogRecord) -> dict[str, str | int]:
    found: dict[str, str | int] = {
        f"trackly.{name}": value
        for name in FIELDS
        if name != "trace_id" and isinstance(value := getattr(record, name, None), str | int)
    }
    if repeated := int(getattr(record, "repeated", 0)):
        found["trackly.repeated"] = repeated
    if record.exc_info and record.exc_info[0] is not None:
        found["exception.type"] = record.exc_info[0].__name__
        found["exception.stacktrace"] = "".join(traceback.format_tb(record.exc_info[2]))
    return found


def _context(trace_id: str | None) -> Context:
    if trace_id is None:
        return Context()
    # A line knows its trace, but not its span.
    context = SpanContext(int(trace_id, 16), 0, is_remote=True, trace_flags=TraceFlags.get_default())
    return set_span_in_context(NonRecordingSpan(context), Context())
