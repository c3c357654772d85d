"""Logging to standard error, as text or one JSON object per line, with repeats suppressed."""

from __future__ import annotations

import logging
import os
import sys
import time
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import orjson

LEVEL, FORMAT = "TRACKLY_LOG_LEVEL", "TRACKLY_LOG_FORMAT"

_TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_REPETITIVE = ["aiokafka", "kafka"]
_CHATTY = ("aiokafka", "faust", "mode", "kafka", "asyncio", "opentelemetry")

FIELDS = ("trace_id", "account", "provider", "endpoint", "stage", "topic", "partition", "offset")
"""Context fields that a line may have beside its text. None holds a phone number, a key, or a URL."""

REPEATED_AFTER = 5.0
"""Seconds within which an identical line is logged once."""

MOST_ALIKE = 50
"""Lines from one place in the code that differ only in their subject, per REPEATED_AFTER seconds."""

MOST_REMEMBERED = 2_000
"""Maximum texts remembered to detect repeats."""


class LogSettingWrong(ValueError):
    """TRACKLY_LOG_LEVEL or TRACKLY_LOG_FORMAT is invalid. The text names it and the expected values."""


def configure_logging(level: str | None = None, service: str = "") -> None:
    """Log to standard error. `level` or TRACKLY_LOG_LEVEL applies to trackly itself; libraries log from WARNING on.

    Library levels are set explicitly: at lower levels they build a log record for every message they send. Raises
    LogSettingWrong.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(os.environ.get(FORMAT, ""), service))
    handler.addFilter(not_of_mode)
    handler.addFilter(Repeats())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for library in _CHATTY:
        logging.getLogger(library).setLevel(logging.WARNING)
    # Warns of every step of its loop that takes more than 0.1 s, which happens on any busy machine.
    logging.getLogger("kafka.net.selector").setLevel(logging.ERROR)
    for name, wanted in _levels(level or os.environ.get(LEVEL) or "INFO").items():
        logging.getLogger(name).setLevel(wanted)


def check_logging() -> None:
    """Raises LogSettingWrong if a service could not start with this process's settings of logs."""
    _formatter(os.environ.get(FORMAT, ""), "")
    _levels(os.environ.get(LEVEL) or "INFO")


def repetitive_logger(name: str) -> logging.Logger:
    """Return a logger for a module that repeats itself for every record while a broker is down: once in 5 s."""
    _REPETITIVE.append(name)
    return logging.getLogger(name)


def about(*, traceparent: bytes | None = None, **fields: object) -> dict[str, object]:
    """Return `extra` for a log call: the line's context, by names of FIELDS. Costs nothing unless the line is
    logged."""
    if traceparent is not None:
        fields["trace_id"] = trace_id(traceparent)
    return {name: value for name, value in fields.items() if value is not None}


def trace_id(traceparent: bytes) -> str | None:
    """Return the trace id of a W3C traceparent, or None if it is invalid."""
    parts = traceparent.decode("latin-1").split("-")
    return parts[1] if len(parts) == 4 and len(parts[1]) == 32 else None


class Repeats(logging.Filter):
    """Lets a warning through once in REPEATED_AFTER seconds, with the number suppressed since.

    While a broker is down, clients and loops repeat the same line for every record and attempt. Lines with a traceback
    always pass.
    """

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, str], list[float]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log the record. A logged one has the number of suppressed repeats in `repeated`."""
        is_repetitive = record.name.startswith(tuple(_REPETITIVE))
        if record.exc_info or (record.levelno < logging.WARNING and not is_repetitive):
            return True
        kind = (record.name, str(record.msg))
        if is_repetitive:
            return self._may_be_said(record, kind, 1)
        text = (record.name, f"={record.getMessage()}")
        return self._may_be_said(record, text, 1) and self._may_be_said(record, kind, MOST_ALIKE)

    def _may_be_said(self, record: logging.LogRecord, key: tuple[str, str], most: int) -> bool:
        now = time.monotonic()
        since, count, left_out = self._said.get(key, (now, 0, 0))
        if now - since >= REPEATED_AFTER:
            since, count = now, 0
        if count >= most:
            self._said[key] = [since, count, left_out + 1]
            return False
        if len(self._said) >= MOST_REMEMBERED:
            self._said = {each: seen for each, seen in self._said.items() if now - seen[0] < REPEATED_AFTER}
        self._said[key] = [since, count + 1, 0]
        record.repeated = getattr(record, "repeated", 0) + left_out
        return True


class TextFormatter(logging.Formatter):
    """A line for people."""

    def __init__(self) -> None:
        super().__init__(_TEXT)

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Format the line, with the number of suppressed repeats."""
        line = super().formatMessage(record)
        repeated = int(getattr(record, "repeated", 0))
        return f"{line} [{repeated} more like it]" if repeated else line


class JsonFormatter(logging.Formatter):
    """Formats a line as a JSON object: `time`, `level`, `logger`, `message`, known FIELDS, `repeated`, `error`."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """Return the object on one line."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if self._service:
            fields["service"] = self._service
        fields |= {name: found for name in FIELDS if (found := getattr(record, name, None)) is not None}
        if getattr(record, "repeated", 0):
            fields["repeated"] = record.repeated  # type: ignore[attr-defined]
        if record.exc_info and record.exc_info[0] is not None:
            fields["error"] = self.formatException(record.exc_info)
        return orjson.dumps(fields, default=str).decode()


def _formatter(wanted: str, service: str) -> logging.Formatter:
    match wanted.strip().lower():
        case "" | "text":
            return TextFormatter()
        case "json":
            return JsonFormatter(service)
        case _:
            raise LogSettingWrong(f"{FORMAT}={wanted} is not a log format. Expected: text or json.")


def _levels(wanted: str) -> dict[str, str]:
    """Parse levels by logger: `INFO`, or `INFO,sinks=DEBUG,aiokafka=ERROR`. Raises LogSettingWrong."""
    ours = _packages()
    found = dict.fromkeys(ours, "INFO")
    for part in filter(None, (part.strip() for part in wanted.split(","))):
        name, _, level = part.rpartition("=")
        if level.upper() not in _LEVELS or (not name and "=" in part):
            raise LogSettingWrong(
                f"{LEVEL}={wanted}: {part!r} is not a known level. Expected: {', '.join(_LEVELS)},"
                " and for single packages NAME=LEVEL after a comma."
            )
        found |= {name: level.upper()} if name else dict.fromkeys(ours, level.upper())
    return found


def _packages() -> list[str]:
    return (metadata.distribution("trackly").read_text("top_level.txt") or "").split()


def not_of_mode(record: logging.LogRecord) -> bool:
    """Whether a line is not Faust's lifecycle chatter."""
    # mode logs the start and stop of every inner service under the name of the module that defines it.
    return record.levelno > logging.INFO or not str(record.msg).startswith("[^")
