"""What Kafka keeps of an erased number, and until when at the latest. No I/O.

A compacted topic is cleaned twice: first of replaced records, then of the deletion, whose key contains the number. Each
cleaning needs a record that arrives when the newest segment is old enough; streams writes one each day
(`streams.cleaning`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.pii import personal_fields
from schemas.topics import Catalogue, Topic

DAY = 86_400_000
DEFAULT_SEGMENT_MS = 7 * DAY

CLEANED = "compaction: cleaned twice, while streams runs"

_HOLDING = ("number", "text", "raw")
_TABLES = {
    "table_contacts": "state of the contact",
    "table_messages": "registered messages",
    "table_clicks": "registered clicks",
}


@dataclass(frozen=True, slots=True)
class Retained:
    """A topic that may contain a number: where in it, and by when (ms) it is gone."""

    topic: str
    holds: str
    until: int
    why: str


def retained(catalogue: Catalogue, now: int, closed_after_ms: Mapping[str, int]) -> list[Retained]:
    """Return the topics that may still contain a number erased now, longest retention first.

    `closed_after_ms`: the maximum age of a topic's newest segment. Kafka deletes and compacts only closed segments, so
    records outlive their retention.
    """
    found = []
    for topic in catalogue.values():
        holds = _holds(topic)
        if holds:
            until, why = _until(topic, now, closed_after_ms.get(topic.name, DEFAULT_SEGMENT_MS))
            found.append(Retained(topic.name, holds, until, why))
    return sorted(found, key=lambda each: (-each.until, each.topic))


def _holds(topic: Topic) -> str:
    if topic.mirrors is not None:
        return ""
    if topic.record is None:
        return _TABLES.get(topic.id, "")
    kinds = personal_fields(topic.record)
    names = [name for name, kind in kinds.items() if kind in _HOLDING]
    if "recipient" in topic.key or "phone_number" in topic.key:
        names.insert(0, "key")
    return ", ".join(names)


def _until(topic: Topic, now: int, closed_after_ms: int) -> tuple[int, str]:
    if topic.compacted and topic.retention_ms is None:
        return now + 2 * (max(DAY, closed_after_ms) + DAY) + DAY, CLEANED
    return now + (topic.retention_ms or 0) + closed_after_ms, "retention"
