"""Webhook bodies: exactly the documented fields, in the documented order, as compact JSON.

An event's bytes are created once and are the same for every endpoint and attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import orjson

from schemas.cloudevents import iso_time
from schemas.records import (
    NO_KEYWORD,
    ClickEvent,
    ConversionEvent,
    DeliveryEvent,
    EndpointAlert,
    EndpointConfig,
    MessageCallback,
    RemovedEvent,
    ReplyEvent,
    RestoredEvent,
    SentEvent,
    UnsubscribeEvent,
)

PublicEvent = (
    DeliveryEvent
    | ReplyEvent
    | UnsubscribeEvent
    | RemovedEvent
    | RestoredEvent
    | SentEvent
    | ClickEvent
    | ConversionEvent
)
"""Records that become webhooks for subscribed endpoints."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The webhook shape of one event type.

    `fields` come between `event`, which is first, and `timestamp`, which is last; they are named like the record's.
    `contact` is the record's field with the recipient's number, `in_place_of_null` the body's value if an old record
    has null.
    """

    event: str
    fields: tuple[str, ...]
    contact: str
    in_place_of_null: Mapping[str, str] = field(default_factory=dict)


SHAPES: Mapping[type, Shape] = {
    DeliveryEvent: Shape("delivery", ("message_id", "to", "list_number", "status", "status_detail", "provider"), "to"),
    UnsubscribeEvent: Shape(
        "unsubscribe", ("phone_number", "list_number", "keyword"), "phone_number", {"keyword": NO_KEYWORD}
    ),
    RemovedEvent: Shape("removed", ("phone_number", "list_number", "reason", "message_id"), "phone_number"),
    RestoredEvent: Shape("restored", ("phone_number", "list_number", "reason"), "phone_number"),
    ReplyEvent: Shape("reply", ("phone_number", "list_number", "body"), "phone_number"),
    SentEvent: Shape("sent", ("message_id", "to", "list_number", "provider", "part_count"), "to"),
    ClickEvent: Shape("click", ("message_id", "click_id", "phone_number", "list_number", "url"), "phone_number"),
    ConversionEvent: Shape(
        "conversion",
        ("message_id", "click_id", "phone_number", "list_number", "payout", "network"),
        "phone_number",
    ),
}

_values: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    record: attrgetter(*shape.fields) for record, shape in SHAPES.items()
}
_contact: dict[type, Callable[[Any], str | None]] = {
    record: attrgetter(shape.contact) for record, shape in SHAPES.items()
}


def body_of(event: PublicEvent) -> bytes:
    """Return an event's webhook body: compact UTF-8 JSON, null for unknown values."""
    shape = SHAPES[type(event)]
    body = {"event": shape.event, **dict(zip(shape.fields, _values[type(event)](event), strict=True))}
    for name, value in shape.in_place_of_null.items():
        body[name] = body[name] or value
    body["timestamp"] = iso_time(event.timestamp)
    return orjson.dumps(body)


def event_name(event: PublicEvent) -> str:
    """Return the name to subscribe to: `delivery`, `reply`, `click`, and so on."""
    return SHAPES[type(event)].event


def list_of(event: PublicEvent) -> str | None:
    """Return the number of the event's list, or None."""
    return event.list_number


def contact_of(event: PublicEvent) -> str | None:
    """Return the number of the event's recipient, or None."""
    return _contact[type(event)](event)


def is_wanted(event: PublicEvent | EndpointAlert, endpoint: EndpointConfig) -> bool:
    """Whether an endpoint subscribes to an event of its account: by event name, and by list or recipient."""
    if isinstance(event, EndpointAlert):
        return event.event in endpoint.events and endpoint.id != event.endpoint
    return event_name(event) in endpoint.events and (not endpoint.lists or list_of(event) in endpoint.lists)


def callback_body(callback: MessageCallback) -> bytes:
    """Return the callback body of one registered message: the transactional form of
    https://academy.useinsider.com/docs/webhooks-for-transactional-sms."""
    body: dict[str, Any] = {"id": callback.message_id, "uniqueArgs": callback.unique_args, "event": callback.event}
    if callback.event == "sent":
        body["partCount"] = callback.part_count
    elif callback.event == "undelivered":
        body["reason"] = {"message": callback.reason_message, "code": callback.reason_code}
    return orjson.dumps(body)


def alert_body(alert: EndpointAlert) -> bytes:
    """Return the webhook body that alerts an account about one of its other endpoints."""
    return orjson.dumps(
        {
            "event": alert.event,
            "endpoint": alert.endpoint,
            "reason": alert.reason,
            "error": alert.error,
            "failures": alert.failures,
            "since": iso_time(alert.since),
            "timestamp": iso_time(alert.timestamp),
        }
    )
