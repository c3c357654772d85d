"""Which schema changes are allowed, and what is said about the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from schemas import release
from schemas.compatibility import RULES, Break, breaks, problems
from schemas.folder_registry import FolderRegistry, SchemaVersion
from schemas.topics import Catalogue

TIME = {"type": "long", "logicalType": "timestamp-millis"}
MICROS = {"type": "long", "logicalType": "timestamp-micros"}
ENUM = {"type": "enum", "name": "Colour", "symbols": ["red", "blue"], "default": "red"}
MORE = {**ENUM, "symbols": ["red", "blue", "green"]}
INNER = {"type": "record", "name": "Inner", "fields": [{"name": "x", "type": "int"}]}
GROWN = {**INNER, "fields": [*INNER["fields"], {"name": "y", "type": "int"}]}  # type: ignore[misc]


def money(scale: int) -> dict[str, Any]:
    return {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": scale}


def record(*fields: tuple[str, Any] | tuple[str, Any, Any], **attributes: Any) -> dict[str, Any]:
    return {
        "type": "record",
        "name": "R",
        "namespace": "trackly",
        "fields": [
            {"name": name, "type": kind, **({"default": default[0]} if default else {})}
            for name, kind, *default in fields
        ],
        **attributes,
    }


BOTH_WAYS = {
    "nothing": (record(("a", "string")), record(("a", "string"))),
    "a new nullable field": (record(("a", "string")), record(("a", "string"), ("b", ["null", "string"], None))),
    "a new field with a default": (record(("a", "string")), record(("a", "string"), ("b", "int", 0))),
    "another order of fields": (record(("a", "string"), ("b", "int")), record(("b", "int"), ("a", "string"))),
    "another doc": (record(("a", "string")), record(("a", "string"), doc="Something else.")),
}


@pytest.mark.parametrize("pair", BOTH_WAYS.values(), ids=BOTH_WAYS)
def test_changes_that_readers_of_either_version_do_not_notice(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    older, newer = pair
    assert breaks(newer, older) == breaks(older, newer) == []


@pytest.mark.parametrize(
    ("older", "newer", "expected"),
    [
        (record(), record(("a", "string")), Break("a", "default")),
        (record(("a", "int")), record(("a", "string")), Break("a", "type")),
        (record(("a", "string")), record(("a", ["null", "int"], None)), Break("a", "type")),
        (record(("a", INNER)), record(("a", GROWN)), Break("a.y", "default")),
        (record(("a", ["null", INNER], None)), record(("a", ["null", GROWN], None)), Break("a.y", "default")),
        (record(("a", {"type": "array", "items": INNER})), record(("a", {"type": "array", "items": GROWN})),
         Break("a.y", "default")),
        (record(("a", TIME)), record(("a", MICROS)), Break("a", "logical type")),
        (record(("a", ["null", TIME], None)), record(("a", ["null", MICROS], None)), Break("a", "logical type")),
        (record(("a", "long")), record(("a", TIME)), Break("a", "logical type")),
        (record(("a", money(2))), record(("a", money(4))), Break("a", "logical type")),
        (record(("a", "bytes")), record(("a", "string")), Break("a", "bytes or text")),
        (record(("a", ["null", "bytes"], None)), record(("a", ["null", "string"], None)), Break("a", "bytes or text")),
        (record(("a", {"type": "map", "values": "bytes"})), record(("a", {"type": "map", "values": "string"})),
         Break("a", "bytes or text")),
        (record(("a", MORE)), record(("a", ENUM)), Break("a", "symbols")),
        (record(("a", "string")), record(("a", "string"), namespace="other"), Break("", "name")),
        (record(("a", "string")), record(("a", "string"), name="S"), Break("", "name")),
        (record(("a", "string")),
         {**record(), "fields": [{"name": "b", "aliases": ["a"], "type": "string"}]}, Break("b", "alias")),
    ],
)  # fmt: skip
def test_a_change_that_breaks_a_newer_reader_names_field_and_rule(
    older: dict[str, Any], newer: dict[str, Any], expected: Break
) -> None:
    assert expected in breaks(newer, older)


@pytest.mark.parametrize(
    ("older", "newer", "expected"),
    [
        (record(("a", "string")), record(), Break("a", "default")),
        (record(("a", "int")), record(("a", "long")), Break("a", "type")),
        (record(("a", "string")), record(("a", ["null", "string"], None)), Break("a", "type")),
        (record(("b", "int"), ("a", "string")), record(("b", "int"), ("a", ["null", "string"], None)),
         Break("a", "type")),
        (record(("a", ENUM)), record(("a", MORE)), Break("a", "symbols")),
    ],
)  # fmt: skip
def test_a_change_that_breaks_an_older_reader_names_field_and_rule(
    older: dict[str, Any], newer: dict[str, Any], expected: Break
) -> None:
    assert expected in breaks(older, newer)


class Folder(FolderRegistry):
    """Made-up versions of one record."""

    def __init__(self, record: str, *schemas: dict[str, Any]) -> None:
        self._made_up = schemas
        self._record = record

    @property
    def entries(self) -> list[SchemaVersion]:  # type: ignore[override]
        return [
            SchemaVersion(id=number, record=self._record, version=number, file=f"avro/x.v{number}.avsc")
            for number in range(1, len(self._made_up) + 1)
        ]

    def schema(self, schema_id: int) -> dict[str, Any]:
        return self._made_up[schema_id - 1]


def test_records_of_public_topics_must_read_both_ways_and_others_only_back() -> None:
    versions = record(("a", "string"), ("b", "int", 0)), record(("b", "int", 0))
    assert problems(Folder("RawCallback", *versions), Catalogue()) == []
    (told,) = problems(Folder("DeliveryEvent", *versions), Catalogue())
    assert told == (
        f"DeliveryEvent v1 cannot read v2 (avro/x.v2.avsc, FULL_TRANSITIVE): a {RULES['default']} [default]"
    )


def test_every_earlier_version_counts_not_only_the_last() -> None:
    without, with_default = record(), record(("a", "string", ""))
    assert len(problems(Folder("RawCallback", without, with_default, record(("a", "string"))), Catalogue())) == 1


def test_the_schemas_in_the_tree_are_compatible() -> None:
    assert problems(FolderRegistry(), Catalogue()) == []


# Releases


def released(directory: Path, **changes: Any) -> Path:
    (entry,) = [e for e in FolderRegistry().entries if e["file"] == "avro/receipt.v1.avsc"]
    line = {**entry, "sha256": release._hash(entry["file"]), **changes}
    text = "\n".join(f"{key} = {json.dumps(value)}" for key, value in line.items())
    (directory / "0.9.0.toml").write_text(f"[[schema]]\n{text}\n", "utf-8")
    return directory


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, []),
        ({"sha256": "0" * 64}, ["was released with 0.9.0 and has changed: put it back"]),
        ({"id": 1}, ["as id 1: put its line back"]),
        ({"file": "avro/receipts.v1.avsc"}, ["put its line back"]),
    ],
)
def test_a_released_schema_stays_as_it_is(tmp_path: Path, changes: dict[str, Any], told: list[str]) -> None:
    found = release.changed_since_release(FolderRegistry(), released(tmp_path, **changes))
    assert len(found) == len(told)
    assert all(part in line for part, line in zip(told, found, strict=True))


def test_no_released_schema_has_changed() -> None:
    assert release.changed_since_release(FolderRegistry()) == []
