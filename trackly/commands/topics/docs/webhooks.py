"""A JSON Schema for each webhook body, from the shapes that the sink uses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from outbound.bodies import SHAPES, Shape
from trackly.commands.topics.docs.words import schema_of, without_null

_TYPES = {"string": "string", "int": "integer", "long": "integer", "double": "number", "boolean": "boolean"}
_TIME = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$",
    "description": "When it happened, UTC.",
}


def webhook_schemas() -> dict[str, str]:
    """Return JSON Schema texts by event name."""
    return {
        shape.event: json.dumps(_schema(record.__name__, shape), indent=2, ensure_ascii=False) + "\n"
        for record, shape in SHAPES.items()
    }


def _schema(record: str, shape: Shape) -> dict[str, Any]:
    avro = schema_of(record)
    fields = {field["name"]: field for field in avro["fields"]}
    properties = {
        "event": {"type": "string", "const": shape.event},
        **{name: _property(fields[name], name in shape.in_place_of_null) for name in shape.fields},
        "timestamp": _TIME,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:trackly:webhook:{shape.event}",
        "title": f"{shape.event} webhook",
        "description": avro["doc"],
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _property(field: Mapping[str, Any], is_never_null: bool) -> dict[str, Any]:
    kind = without_null(field["type"])
    name = _TYPES[kind]
    return {"type": name if kind is field["type"] or is_never_null else [name, "null"], "description": field["doc"]}
