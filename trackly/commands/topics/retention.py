"""A topic's retention in words."""

from __future__ import annotations

from schemas.topics import Topic

_UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"))


def retention(topic: Topic) -> str:
    """Return how long records are kept: `7d`, `forever`, or `newest of each key` for a compacted topic."""
    kept = "forever" if topic.retention_ms is None else _duration(topic.retention_ms)
    if not topic.compacted:
        return kept
    return "newest of each key" + ("" if topic.retention_ms is None else f", {kept}")


def _duration(millis: int) -> str:
    return next((f"{millis // size}{unit}" for size, unit in _UNITS if millis % size == 0), f"{millis}ms")
