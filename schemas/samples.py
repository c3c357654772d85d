"""Example records: the JSON files of `schemas/examples/`, one per record type, as typed records.

A file has the fields as printed by `trackly tap`: times in ISO 8601, bytes as text. A schema's new field that is
missing from its file takes its value from another record's field of that name, so that every record has an example.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_writer
from fastavro.validation import ValidationError, validate

from schemas.codec import Codec, CodecError, wire_header, without_logical_types
from schemas.folder_registry import FolderRegistry
from schemas.records import Record

_BY_TYPE = {"string": "example", "int": 1, "long": 1, "boolean": True, "bytes": "example", "double": 1.0, "float": 1.0}
_FOLDER = FolderRegistry()
_CODEC = Codec(_FOLDER)


def example(record: str) -> dict[str, Any]:
    """Return an example of a record's fields, in JSON form. Its numbers and hosts are reserved for documentation."""
    given = _given().get(record, {})
    schema = _FOLDER.schema(_FOLDER.id_of(record))
    return {field["name"]: given.get(field["name"], _draft(field)) for field in schema["fields"]}


def plain_example(record: str) -> dict[str, Any]:
    """Return the same with Avro values: times in milliseconds; bytes as text."""
    schema = _FOLDER.schema(_FOLDER.id_of(record))
    values = _plain(example(record), schema)
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}


def sample(record: str) -> Record:
    """Return the same as a typed record. Raises CodecError if the example does not fit its schema."""
    return record_of(record, example(record))


def record_of(record: str, values: Mapping[str, Any]) -> Record:
    """Return a record from its fields in JSON form. Raises CodecError if they do not fit its schema."""
    schema_id = _FOLDER.id_of(record)
    schema = _FOLDER.schema(schema_id)
    out = BytesIO()
    out.write(wire_header(schema_id))
    plain = _plain(values, schema)
    parsed = parse_schema(without_logical_types(schema))
    try:
        validate(plain, parsed, strict=True)
    except ValidationError as error:
        raise CodecError(f"{record}: {error}") from None
    schemaless_writer(out, parsed, plain)
    return _CODEC.decode(out.getvalue())


@cache
def _given() -> dict[str, dict[str, Any]]:
    folder = files("schemas").joinpath("examples")
    return {
        path.name.removesuffix(".json"): json.loads(path.read_text("utf-8"))
        for path in sorted(folder.iterdir(), key=lambda path: path.name)
        if path.name.endswith(".json")
    }


def _draft(field: Mapping[str, Any]) -> Any:
    if "default" in field:
        return field["default"]
    for values in _given().values():
        if field["name"] in values:
            return values[field["name"]]
    kind = field["type"]
    if isinstance(kind, Mapping):
        if kind.get("logicalType") == "timestamp-millis":
            return "2026-11-20T10:15:32.120Z"
        if kind["type"] == "record":
            return {inner["name"]: _draft(inner) for inner in kind["fields"]}
        return [] if kind["type"] == "array" else {} if kind["type"] == "map" else _BY_TYPE[kind["type"]]
    return _BY_TYPE[kind]


def _plain(value: Any, kind: Any) -> Any:
    """Convert a JSON value for the Avro writer: times in milliseconds, bytes as bytes."""
    match kind:
        case list():
            return None if value is None else _plain(value, next(branch for branch in kind if branch != "null"))
        case "bytes":
            return value.encode()
        case {"logicalType": "timestamp-millis"}:
            return round(datetime.fromisoformat(value).timestamp() * 1000)
        case {"type": "array", "items": items}:
            return [_plain(item, items) for item in value]
        case {"type": "map", "values": values}:
            return {key: _plain(item, values) for key, item in value.items()}
        case {"type": "record", "fields": fields}:
            return {field["name"]: _plain(value[field["name"]], field["type"]) for field in fields}
        case _:
            return value
