"""Example records: the JSON files of `schemas/examples/`, one a record, as typed records.

A file has the fields as `trackly tap` prints them: times as ISO 8601, bytes as text. What is new in a schema and
not yet in its file takes its value from another record's field of that name, so that no record lacks an example.
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
    """An example of a record's fields as JSON has them. Its numbers and hosts are reserved for documentation."""
    given = _given().get(record, {})
    schema = _FOLDER.schema(_FOLDER.id_of(record))
    return {field["name"]: given.get(field["name"], _draft(field)) for field in schema["fields"]}


def plain_example(record: str) -> dict[str, Any]:
    """The same as Avro has the values: times in milliseconds; bytes as text."""
    schema = _FOLDER.schema(_FOLDER.id_of(record))
    values = _plain(example(record), schema)
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}


def sample(record: str) -> Record:
    """The same as a typed record. Raises CodecError where the example does not fit its schema."""
    return record_of(record, example(record))


def record_of(record: str, values: Mapping[str, Any]) -> Record:
    """A record from its fields as JSON has them. Raises CodecError where they do not fit its schema."""
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
    """A value of JSON as the Avro writer wants it: times in milliseconds, bytes as bytes."""
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
