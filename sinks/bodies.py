"""Webhook bodies: exactly the documented fields, in the documented order, as compact JSON.

The bytes are made once for an event and are the same for every endpoint and on every attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import orjson

from schemas.cloudevents import iso_time
from schemas.records import DeliveryEvent, ReplyEvent, UnsubscribeEvent

PublicEvent = DeliveryEvent | ReplyEvent | UnsubscribeEvent
"""Records that become webhooks."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How one type of event looks as a webhook.

    `fields` stand between `event`, which is first, and `timestamp`, which is last; they are named like the
    record's. `contact` names the record's field with the recipient's number.
    """

    event: str
    fields: tuple[str, ...]
    contact: str


SHAPES: Mapping[type, Shape] = {
    DeliveryEvent: Shape("delivery", ("message_id", "to", "list_number", "status", "status_detail", "provider"), "to"),
    UnsubscribeEvent: Shape("unsubscribe", ("phone_number", "list_number", "keyword"), "phone_number"),
    ReplyEvent: Shape("reply", ("phone_number", "list_number", "body"), "phone_number"),
}

_values: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    record: attrgetter(*shape.fields) for record, shape in SHAPES.items()
}
_contact: dict[type, Callable[[Any], str | None]] = {
    record: attrgetter(shape.contact) for record, shape in SHAPES.items()
}


def body_of(event: PublicEvent) -> bytes:
    """Body of an event's webhook: UTF-8 JSON without blanks, null where a value is unknown."""
    shape = SHAPES[type(event)]
    body = {"event": shape.event, **dict(zip(shape.fields, _values[type(event)](event), strict=True))}
    body["timestamp"] = iso_time(event.timestamp)
    return orjson.dumps(body)


def event_name(event: PublicEvent) -> str:
    """Name under which endpoints subscribe: `delivery`, `reply`, `unsubscribe`."""
    return SHAPES[type(event)].event


def list_of(event: PublicEvent) -> str | None:
    """Number of the list that the event is about, or None."""
    return event.list_number


def contact_of(event: PublicEvent) -> str | None:
    """Number of the recipient that the event is about, or None."""
    return _contact[type(event)](event)
