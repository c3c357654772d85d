"""The public topics as a data contract in the Open Data Contract Standard. https://bitol-io.github.io/open-data-contract-standard/"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.pii import kind_of
from schemas.topics import Catalogue, Topic
from trackly.commands.topics.docs.words import (
    FOLDER,
    duplicates,
    example_of,
    order,
    pii_of,
    schema_of,
    type_name,
    without_null,
)
from trackly.commands.topics.docs.yaml_text import yaml_text

_LOGICAL = {
    "string": "string", "bytes": "string", "int": "integer", "long": "integer", "float": "number", "double": "number",
    "boolean": "boolean", "enum": "string", "record": "object", "map": "map", "array": "array",
}  # fmt: skip


def contract(catalogue: Catalogue) -> str:
    """Return the document as YAML."""
    topics = [topic for topic in catalogue.values() if topic.public]
    document = {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": "trackly-events",
        "name": "trackly events",
        "version": "1.0.0",
        "status": "active",
        "domain": "messaging",
        "description": {
            "purpose": "What became of text messages, what recipients answered, and who must not be texted again.",
            "usage": "Read the topics with any Kafka client; `trackly registry` or your own registry serves the"
            " schemas.",
            "limitations": "Records are delivered at least once. Fields with a classification are personal data.",
        },
        "servers": [{"server": "kafka", "type": "kafka", "host": "localhost:9092", "format": "avro"}],
        "schema": [_topic(topic, catalogue) for topic in topics],
        "slaProperties": [
            {"property": "retention", "value": topic.retention_ms // 86_400_000, "unit": "d", "element": topic.id}
            for topic in topics
            if topic.retention_ms is not None
        ],
    }
    return yaml_text(document)


def _topic(topic: Topic, catalogue: Catalogue) -> dict[str, Any]:
    record = str(topic.record)
    schema, shown = schema_of(record), example_of(topic)
    return {
        "name": topic.id,
        "physicalName": topic.name,
        "physicalType": "topic",
        "logicalType": "object",
        "description": f"{topic.purpose} {order(topic)} {duplicates(topic)}",
        "authoritativeDefinitions": [
            {"type": "schema", "url": f"http://localhost:8082/subjects/{topic.subject}/versions/latest/schema"}
        ],
        "customProperties": [
            {"property": "record", "value": f"{schema['namespace']}.{record}"},
            {"property": "schemaVersion", "value": FOLDER.versions[record][-1]["version"]},
            {"property": "compatibility", "value": catalogue.compatibility(record)},
            {"property": "key", "value": topic.key},
        ],
        "properties": [_property(topic, field, shown[field["name"]]) for field in schema["fields"]],
    }


def _property(topic: Topic, field: Mapping[str, Any], shown: Any) -> dict[str, Any]:
    kind = without_null(field["type"])
    found = {
        "name": field["name"],
        "description": field["doc"],
        "physicalType": _physical(kind),
        **_logical(kind),
        "required": kind is field["type"],
    }
    if field["name"] == "event_id":
        found |= {"primaryKey": True, "primaryKeyPosition": 1}
    pii = pii_of(topic, kind_of(str(topic.record), field["name"]))
    if pii is not None:
        found["classification"] = pii
    if isinstance(shown, str | int | float) and not isinstance(shown, bool):
        found["examples"] = [shown]
    return found


def _physical(kind: Any) -> str:
    """The type's name in Avro, except for times: tools that write tables from a contract prefer this type."""
    if type_name(kind) == "time":
        return "timestamp"
    return str(kind["type"] if isinstance(kind, Mapping) else kind)


def _logical(kind: Any) -> dict[str, Any]:
    if not isinstance(kind, Mapping):
        return {"logicalType": _LOGICAL[kind]}
    if type_name(kind) == "time":
        return {"logicalType": "timestamp"}
    found: dict[str, Any] = {"logicalType": _LOGICAL[kind["type"]]}
    if kind["type"] == "array":
        found["items"] = {"name": "item", **_logical(kind["items"]), "required": True}
    if kind["type"] == "map":
        found["map"] = {
            "key": {"name": "key", "logicalType": "string", "required": True},
            "value": {"name": "value", **_logical(kind["values"]), "required": True},
        }
    if kind["type"] == "record":
        found["properties"] = [_inner(field) for field in kind["fields"]]
    return found


def _inner(field: Mapping[str, Any]) -> dict[str, Any]:
    kind = without_null(field["type"])
    return {
        "name": field["name"],
        "description": field["doc"],
        **_logical(kind),
        "required": kind is field["type"],
    }
