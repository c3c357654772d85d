"""The schema files, the record classes, and the registry of ids agree."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from fastavro import parse_schema
from msgspec.structs import fields

from schemas import records
from schemas.folder_registry import FolderRegistry
from schemas.records import RECORD_TYPES

REGISTRY = FolderRegistry()
ENTRIES = REGISTRY.entries
NEWEST = [REGISTRY.schema(REGISTRY.id_of(name)) for name in RECORD_TYPES]


def records_in(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if schema.get("type") == "record":
            yield schema
            for field in schema["fields"]:
                yield from records_in(field["type"])
        else:
            yield from records_in(schema.get("items"))
            yield from records_in(schema.get("values"))
    elif isinstance(schema, list):
        for branch in schema:
            yield from records_in(branch)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e["file"])
def test_every_registered_file_is_a_schema_of_the_record_that_it_is_registered_for(entry: dict[str, Any]) -> None:
    schema = REGISTRY.schema(entry["id"])
    parse_schema(schema)
    assert (schema["name"], schema["namespace"]) == (entry["record"], "trackly")


def test_ids_are_unique() -> None:
    assert len({entry["id"] for entry in ENTRIES}) == len(ENTRIES)


def test_every_file_is_registered() -> None:
    present = {f"avro/{path.name}" for path in files("schemas").joinpath("avro").iterdir()}
    assert present == {entry["file"] for entry in ENTRIES}


@pytest.mark.parametrize("schema", NEWEST, ids=lambda s: s["name"])
def test_every_record_and_field_is_documented(schema: dict[str, Any]) -> None:
    for record in records_in(schema):
        assert record["doc"].endswith(".")
        undocumented = [field["name"] for field in record["fields"] if not field.get("doc", "").endswith(".")]
        assert not undocumented


@pytest.mark.parametrize("name", RECORD_TYPES)
def test_a_class_has_the_fields_of_its_schema_in_their_order(name: str) -> None:
    schema = REGISTRY.schema(REGISTRY.id_of(name))
    assert [f.name.rstrip("_") for f in fields(RECORD_TYPES[name])] == [f["name"] for f in schema["fields"]]


@pytest.mark.parametrize("schema", NEWEST, ids=lambda s: s["name"])
def test_a_class_is_described_as_its_schema_is(schema: dict[str, Any]) -> None:
    for record in records_in(schema):
        described = getattr(records, record["name"]).__doc__
        assert " ".join(described.split()) == record["doc"]


@pytest.mark.parametrize("schema", NEWEST, ids=lambda s: s["name"])
def test_nullable_fields_default_to_null(schema: dict[str, Any]) -> None:
    for field in schema["fields"]:
        if isinstance(field["type"], list):
            assert field["type"][0] == "null"
            assert field["default"] is None


@pytest.mark.parametrize("schema", NEWEST, ids=lambda s: s["name"])
def test_times_are_milliseconds(schema: dict[str, Any]) -> None:
    for field in schema["fields"]:
        if field["name"].endswith("_at") or field["name"] in ("timestamp", "since"):
            assert "timestamp-millis" in json.dumps(field["type"]), field["name"]
