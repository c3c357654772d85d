"""What the headers of a record say about it."""

from __future__ import annotations

from msgspec import Struct

from schemas.cloudevents import Headers, event_headers
from schemas.records import Record


class Context(Struct, frozen=True, gc=False):
    """The context of a record: its event ID and time (ms), its trace, and where it comes from.

    `source` is the position of the raw callback, `source_sha256` its hash, and `received_at` when (ms) it was received;
    0 if there is none.
    """

    event_id: str
    at: int
    traceparent: bytes | None = None
    source: bytes | None = None
    source_sha256: bytes | None = None
    received_at: int = 0

    def headers(self, record: Record) -> Headers:
        """Return the headers of the record."""
        headers = event_headers(record, self.event_id, self.at, self.traceparent)
        if self.source is not None:
            headers.append(("source", self.source))
        if self.source_sha256 is not None:
            headers.append(("source_sha256", self.source_sha256))
        return headers
