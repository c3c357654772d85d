"""The `traceparent` header of W3C Trace Context, for HTTP and Kafka.

https://www.w3.org/TR/trace-context/#traceparent-header
"""

from __future__ import annotations

import re
from typing import NamedTuple

_FORM = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


class SpanReference(NamedTuple):
    """A reference to a span: two ids, and whether it is recorded."""

    trace_id: int
    span_id: int
    sampled: bool

    def encode(self) -> bytes:
        """Return the header."""
        return b"00-%032x-%016x-%02x" % self


def place_of(traceparent: bytes | None) -> SpanReference | None:
    """Parse a header; None if it is missing or invalid."""
    match = None if traceparent is None else _FORM.fullmatch(traceparent)
    if match is None:
        return None
    place = SpanReference(int(match[1], 16), int(match[2], 16), bool(int(match[3], 16) & 1))
    return place if place.trace_id and place.span_id else None


def is_sampled(traceparent: bytes | None) -> bool:
    """Whether a header marks its trace as recorded."""
    return traceparent is not None and traceparent[-1:] in b"13579bdf" and place_of(traceparent) is not None
