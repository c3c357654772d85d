"""When a command was written, also if it was copied to other topics since (`trackly topics grow`)."""

from __future__ import annotations

from typing import Any

from schemas.cloudevents import header

WRITTEN_AT = "written_at"
"""Header of a copied command: when (ms) Kafka got it. The copy's own time is that of the copying: a restore would count
as newer than a STOP that came in between."""


def written_at(record: Any) -> int:
    """Return when (ms) Kafka first got a record: by its header, but no later than its own time."""
    stated = header(record.headers or (), WRITTEN_AT)
    if stated is None or not stated.isdigit():
        return int(record.timestamp)
    return min(int(stated), int(record.timestamp))
