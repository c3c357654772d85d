"""Layouts of a request's body: a single event, a CloudEvents envelope, or an array of events. Pure functions.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from schemas.cloudevents import SOURCE, iso_time

JSON = "application/json"
CLOUDEVENT = "application/cloudevents+json"
CLOUDEVENTS = "application/cloudevents-batch+json"


def content_type(layout: str, *, batch: bool) -> str:
    """Return the content type of an endpoint's `format` (json, cloudevents)."""
    if layout == "cloudevents":
        return CLOUDEVENTS if batch else CLOUDEVENT
    return JSON


def laid_out(layout: str, event_id: str, event: str, timestamp: int, body: bytes) -> bytes:
    """Return the body of a single event in an endpoint's `format`. `timestamp` is in ms."""
    return enveloped(event_id, event, timestamp, body) if layout == "cloudevents" else body


def enveloped(event_id: str, event: str, timestamp: int, body: bytes) -> bytes:
    """Return a JSON CloudEvent whose data is the event's own body, byte for byte. `timestamp` is in ms."""
    attributes = {
        "specversion": "1.0",
        "id": event_id,
        "source": SOURCE.decode(),
        "type": f"trackly.{event}",
        "time": iso_time(timestamp),
        "datacontenttype": JSON,
    }
    return orjson.dumps(attributes)[:-1] + b',"data":' + body + b"}"


def array_of(bodies: Iterable[bytes]) -> bytes:
    """Return a JSON array of bodies, unchanged."""
    return b"[" + b",".join(bodies) + b"]"


def raw_content_type(raw: str) -> str:
    """Return the content type of a provider's raw item, by its first character: JSON, XML, or form fields."""
    match raw.lstrip()[:1]:
        case "{" | "[":
            return JSON
        case "<":
            return "application/xml"
    return "application/x-www-form-urlencoded"
