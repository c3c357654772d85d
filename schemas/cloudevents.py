"""CloudEvents headers, binary mode of the Kafka binding.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from schemas.records import Record

Headers = list[tuple[str, bytes]]

SOURCE = b"/trackly"
_FIXED: Headers = [
    ("ce_specversion", b"1.0"),
    ("ce_source", SOURCE),
    ("content-type", b"application/avro"),
]


FIRST_MILLISECOND, LAST_MILLISECOND = -62_135_596_800_000, 253_402_300_799_999
"""Bounds of the years 1 to 9999, for which a date can be formatted."""


def iso_time(millis: int) -> str:
    """Return an RFC 3339 time in UTC with milliseconds: `2024-01-15T10:30:00.000Z`; times beyond the bounds are
    clamped."""
    seconds, rest = divmod(min(max(millis, FIRST_MILLISECOND), LAST_MILLISECOND), 1000)
    hour, second = divmod(seconds, 3_600)
    return f"{_hour(hour)}{_SIXTIETHS[second // 60]}:{_SIXTIETHS[second % 60]}.{rest:03d}Z"


@lru_cache(maxsize=1 << 12)
def _hour(hours: int) -> str:
    """Return a time's prefix up to the hour; cached, because records' times are close together."""
    return datetime.fromtimestamp(hours * 3_600, UTC).isoformat()[:14]


_SIXTIETHS = tuple(f"{number:02d}" for number in range(60))


def event_headers(record: Record, event_id: str, time: int, traceparent: bytes | None = None) -> Headers:
    """Return a record's headers: id, type (`trackly.DeliveryEvent`), time, and the trace, if there is one."""
    headers = [
        *_FIXED,
        ("ce_id", event_id.encode()),
        ("ce_type", b"trackly." + type(record).__name__.encode()),
        ("ce_time", iso_time(time).encode()),
    ]
    if traceparent:
        headers.append(("traceparent", traceparent))
    return headers


def header(headers: list[tuple[str, bytes]] | tuple[tuple[str, bytes], ...], name: str) -> bytes | None:
    """Return the value of a Kafka record header, or None."""
    for key, value in headers:
        if key == name:
            return value
    return None
