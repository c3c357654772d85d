"""Polled events, requested by a receiver instead of being pushed: request, answer, and cursor.

A cursor holds the next offset of each partition and Kafka's id of each topic, so it always leads to the same records,
even if it is used twice.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from accounts.model import config_key
from console.queries.paging import BadCursor
from console.queries.rows import At
from operations.replays import EVENTS
from outbound.bodies import PublicEvent, alert_body, body_of, event_name, is_wanted
from schemas.records import EndpointAlert, EndpointConfig, Record

ALERTS = "alerts"
"""Short name of the topic with alerts about an account's endpoints."""

MAX_CURSOR = 16_000
MAX_CURSOR_BYTES = 64 << 10
"""Maximum characters of a cursor, and bytes of its packed content: some thousand partitions."""

Offsets = Mapping[str, tuple[str, tuple[int, ...]]]
"""By a topic's short name: Kafka's id of the topic, and the next offset of each partition."""


@dataclass(frozen=True, slots=True)
class PolledEvent:
    """One event. `id` is its webhook-id, or the one it would have; `data` is the webhook's body."""

    id: str
    event: str
    timestamp: At
    data: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events in order per contact. `after` is where the next page begins; `more`: it is not empty.

    `missed`: Kafka's retention deleted events between this page and the previous one.
    """

    data: list[PolledEvent]
    after: str
    more: bool
    missed: bool


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where an endpoint's events continue, as of `at` (ms)."""

    endpoint: str
    at: int
    offsets: Offsets

    def encode(self) -> str:
        """Return the cursor as text for a URL."""
        packed = zlib.compress(orjson.dumps([self.endpoint, self.at, self.offsets]))
        return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str, endpoint: str) -> Cursor:
        """Parse a cursor of an endpoint (`account/id`). Raises BadCursor."""
        try:
            packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            name, at, offsets = orjson.loads(zlib.decompressobj().decompress(packed, MAX_CURSOR_BYTES))
            read = {topic: (str(id), tuple(map(_offset, places))) for topic, (id, places) in offsets.items()}
            cursor = cls(str(name), _offset(at), read)
        except (ValueError, TypeError, AttributeError, zlib.error):
            raise BadCursor("is not a valid cursor; pass `after` of the previous page unchanged") from None
        if cursor.endpoint != endpoint:
            raise BadCursor("belongs to another endpoint")
        return cursor


def topics_of(endpoint: EndpointConfig) -> tuple[str, ...]:
    """Return the topics, by short name, of an endpoint's events."""
    alerts = (ALERTS,) if any(event not in EVENTS for event in endpoint.events) else ()
    return tuple(event for event in EVENTS if event in endpoint.events) + alerts


def may_hold(topic: str, key: bytes | None, account: str) -> bool:
    """Whether a record with this key may be the account's, by the topic's short name: cheaper than decoding it."""
    # A conversion of an unregistered click is keyed by click id.
    return topic in ("conversion", ALERTS) or key is None or key.startswith(f"{account}:".encode())


def polled(record: Record, endpoint: EndpointConfig) -> PolledEvent | None:
    """Return a record's event for an endpoint; None if it does not subscribe to it."""
    if not isinstance(record, PublicEvent | EndpointAlert):
        return None
    if record.account != endpoint.account or not is_wanted(record, endpoint):
        return None
    if isinstance(record, EndpointAlert):
        return PolledEvent(record.event_id, record.event, record.timestamp, orjson.loads(alert_body(record)))
    return PolledEvent(record.event_id, event_name(record), record.timestamp, orjson.loads(body_of(record)))


def begin_of(cursor: Cursor | None, topic: str, topic_id: str, partition: int) -> int | None:
    """Return the offset at which a partition continues; 0 if the topic was recreated or the partition is new.

    None if the cursor lacks the topic: the endpoint did not subscribe to it.
    """
    if cursor is None or topic not in cursor.offsets:
        return None
    known_id, offsets = cursor.offsets[topic]
    return offsets[partition] if known_id == topic_id and partition < len(offsets) else 0


def cursor_of(text: str | None, endpoint: EndpointConfig) -> Cursor | None:
    """Return a request's cursor. Raises BadCursor."""
    return None if text is None else Cursor.decode(text, config_key(endpoint))


def _offset(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**62:
        raise ValueError
    return value
