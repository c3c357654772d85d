"""How a request's body is laid out: an event alone, in a CloudEvents envelope, or several in an array. Pure functions.

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
    """Content type of an endpoint's `format` (json, cloudevents)."""
    if layout == "cloudevents":
        return CLOUDEVENTS if batch else CLOUDEVENT
    return JSON


def laid_out(layout: str, event_id: str, event: str, timestamp: int, body: bytes) -> bytes:
    """The body of an event in an endpoint's `format`, where it stands alone. `timestamp` is in ms."""
    return enveloped(event_id, event, timestamp, body) if layout == "cloudevents" else body


def enveloped(event_id: str, event: str, timestamp: int, body: bytes) -> bytes:
    """A CloudEvent in JSON whose data is the event's own body, byte for byte. `timestamp` is in ms."""
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
    """A JSON array of bodies, as they are."""
    return b"[" + b",".join(bodies) + b"]"


def raw_content_type(raw: str) -> str:
    """Content type of a provider's raw item, by how it begins: JSON, XML or form fields."""
    match raw.lstrip()[:1]:
        case "{" | "[":
            return JSON
        case "<":
            return "application/xml"
    return "application/x-www-form-urlencoded"
