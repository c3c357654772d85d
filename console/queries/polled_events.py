"""Events that a receiver asks for instead of being called: what is asked, what is answered, and where it goes on.

A cursor holds the next offset of each partition, and Kafka's id of each topic: so it leads to the same records whatever
happens meanwhile, also where it is used twice.
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
"""Short name of the topic of what is told about an account's endpoints."""

MAX_CURSOR = 16_000
MAX_CURSOR_BYTES = 64 << 10
"""Characters of a cursor, and bytes of what is packed into it: some thousand partitions."""

Offsets = Mapping[str, tuple[str, tuple[int, ...]]]
"""By the short name of a topic: Kafka's id of the topic, and the next offset of each partition."""


@dataclass(frozen=True, slots=True)
class PolledEvent:
    """One event. `id` is the webhook-id that it has or would have; `data` is the webhook's body."""

    id: str
    event: str
    timestamp: At
    data: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events in the order of each contact. `after` is where the next page begins; `more`: there is something already.

    `missed`: Kafka's retention deleted events that lay between this page and the one before.
    """

    data: list[PolledEvent]
    after: str
    more: bool
    missed: bool


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where an endpoint's events go on, as of `at` (ms)."""

    endpoint: str
    at: int
    offsets: Offsets

    def encode(self) -> str:
        """As text for a URL."""
        packed = zlib.compress(orjson.dumps([self.endpoint, self.at, self.offsets]))
        return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str, endpoint: str) -> Cursor:
        """The cursor of an endpoint (`account/id`). Raises BadCursor."""
        try:
            packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            name, at, offsets = orjson.loads(zlib.decompressobj().decompress(packed, MAX_CURSOR_BYTES))
            read = {topic: (str(id), tuple(map(_offset, places))) for topic, (id, places) in offsets.items()}
            cursor = cls(str(name), _offset(at), read)
        except (ValueError, TypeError, AttributeError, zlib.error):
            raise BadCursor("is none of ours; take `after` of the page before as it is") from None
        if cursor.endpoint != endpoint:
            raise BadCursor("is that of another endpoint")
        return cursor


def topics_of(endpoint: EndpointConfig) -> tuple[str, ...]:
    """Topics, by their short names, that an endpoint's events are on."""
    alerts = (ALERTS,) if any(event not in EVENTS for event in endpoint.events) else ()
    return tuple(event for event in EVENTS if event in endpoint.events) + alerts


def may_hold(topic: str, key: bytes | None, account: str) -> bool:
    """Whether a record with this key may be the account's, by the topic's short name: decoding costs more."""
    # A conversion whose click nobody registered is keyed by its click id.
    return topic in ("conversion", ALERTS) or key is None or key.startswith(f"{account}:".encode())


def polled(record: Record, endpoint: EndpointConfig) -> PolledEvent | None:
    """What an endpoint is told of a record; None where it subscribes to nothing of the kind."""
    if not isinstance(record, PublicEvent | EndpointAlert):
        return None
    if record.account != endpoint.account or not is_wanted(record, endpoint):
        return None
    if isinstance(record, EndpointAlert):
        return PolledEvent(record.event_id, record.event, record.timestamp, orjson.loads(alert_body(record)))
    return PolledEvent(record.event_id, event_name(record), record.timestamp, orjson.loads(body_of(record)))


def begin_of(cursor: Cursor | None, topic: str, topic_id: str, partition: int) -> int | None:
    """The offset at which a partition goes on; 0 where the topic was made anew or has more partitions than it had.

    None where the cursor says nothing of the topic: the endpoint did not subscribe to it.
    """
    if cursor is None or topic not in cursor.offsets:
        return None
    known_id, offsets = cursor.offsets[topic]
    return offsets[partition] if known_id == topic_id and partition < len(offsets) else 0


def cursor_of(text: str | None, endpoint: EndpointConfig) -> Cursor | None:
    """The cursor that a request has. Raises BadCursor."""
    return None if text is None else Cursor.decode(text, config_key(endpoint))


def _offset(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**62:
        raise ValueError
    return value
