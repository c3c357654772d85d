"""Checks every schema against earlier versions: `python -m schemas.compatibility`, part of `make check`.

Apache's own `avro` library is the judge. It accepts some changes that break readers (a decimal's scale, a time's unit,
a namespace, bytes read as string, an enum's new symbol), so we have rules of our own for those. FULL_TRANSITIVE, for
records of public topics: each version can read every other one. BACKWARD_TRANSITIVE, for the rest: each can read all
earlier ones.

https://avro.apache.org/docs/1.12.0/specification/#schema-resolution
https://docs.confluent.io/platform/current/schema-registry/fundamentals/schema-evolution.html
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import avro.schema
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.errors import AvroException

from schemas.folder_registry import FolderRegistry
from schemas.release import changed_since_release
from schemas.topics import Catalogue

RULES = {
    "default": "is unknown to the other version and has no default: add it with one, a nullable one with null first",
    "type": "has another type: keep the field as it is and add a new one beside it",
    "symbols": "has other symbols, which readers refuse: use a string, or add a new field beside it",
    "size": "has another size: keep the field as it is and add a new one beside it",
    "name": "has another name or namespace: keep the name, it is how readers find the type",
    "logical type": "means something else by the same number (unit, precision or scale): add a new field beside it",
    "bytes or text": "was bytes and is a string, or the other way round: add a new field beside it",
    "alias": "has aliases, which many readers ignore: keep the old field and add a new one beside it",
}
"""The problem and the remedy, by rule."""


class Break(NamedTuple):
    """One reason why a reader cannot read a writer's records, or reads them wrongly. `field` is a dotted path."""

    field: str
    rule: str


def breaks(reader: Mapping[str, Any], writer: Mapping[str, Any]) -> list[Break]:
    """Return why a program with one schema cannot read records of another. Empty: it can."""
    seen = set(_overlooked(reader, writer, ""))
    for judged in _judged(reader, writer):
        # The judge blames the union that a record is in; our own check may have found the exact field.
        if not any(found.field.startswith(f"{judged.field}.") for found in seen):
            seen.add(judged)
    return sorted(seen)


def problems(folder: FolderRegistry, catalogue: Catalogue) -> list[str]:
    """Return a line for each break between two versions of a record: record, versions, field, rule, remedy."""
    found = []
    for record, versions in folder.versions.items():
        level = catalogue.compatibility(record)
        for position, newer in enumerate(versions):
            for older in versions[:position]:
                pairs = [(newer, older)] + ([(older, newer)] if level == "FULL_TRANSITIVE" else [])
                for reader, writer in pairs:
                    found += [
                        f"{record} v{reader['version']} cannot read v{writer['version']} ({newer['file']}, {level}):"
                        f" {field or 'the record'} {RULES[rule]} [{rule}]"
                        for field, rule in breaks(folder.schema(reader["id"]), folder.schema(writer["id"]))
                    ]
    return found


def _judged(reader: Mapping[str, Any], writer: Mapping[str, Any]) -> Iterator[Break]:
    """Return what Apache's library finds. If it names no position, each field is checked alone."""
    judge = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
    verdict = judge.get_compatibility(
        avro.schema.make_avsc_object(dict(reader)), avro.schema.make_avsc_object(dict(writer))
    )
    if verdict.compatibility is SchemaCompatibilityType.compatible:
        return
    places = [location for location in verdict.locations if location != "/"]
    yield from (_located(reader, location) for location in places)
    if not places:
        yield from [Break(name, "type") for name in _culprits(reader, writer)] or [Break("", "type")]


def _culprits(reader: Mapping[str, Any], writer: Mapping[str, Any]) -> Iterator[str]:
    """Return the fields that fail when checked alone."""
    written = {field["name"]: field for field in writer["fields"]}
    alone = [field["name"] for field in reader["fields"] if field["name"] in written]
    if len(alone) == 1:
        yield alone[0]
        return
    for field in reader["fields"]:
        with suppress(AvroException):  # a type that another field defines
            other = [written[field["name"]]] if field["name"] in written else []
            if any(_judged({**reader, "fields": [field]}, {**writer, "fields": other})):
                yield field["name"]


def _located(schema: Any, location: str) -> Break:
    """Convert a position in the reader's schema, such as `/fields/2/type/symbols`, into a field and the rule it
    breaks."""
    steps = location.strip("/").split("/")
    names, before = [], ""
    for step in steps:
        if isinstance(schema, list) and step.isdigit():
            schema = schema[int(step)]
            if before == "fields":
                names.append(str(schema["name"]))
        elif isinstance(schema, Mapping):
            schema = schema.get(step)
        before = step
    rule = steps[-1] if steps[-1] in RULES else "default" if steps[-2:-1] == ["fields"] else "type"
    return Break(".".join(names), rule)


def _overlooked(reader: Any, writer: Any, path: str) -> Iterator[Break]:
    if isinstance(reader, list) or isinstance(writer, list):
        for branch, other in _branches(reader, writer):
            yield from _overlooked(branch, other, path)
        return
    reader, writer = _expanded(reader), _expanded(writer)
    kinds = {reader["type"], writer["type"]}
    if kinds == {"bytes", "string"}:
        yield Break(path, "bytes or text")
    if len(kinds) > 1:
        return
    if _full_name(reader) != _full_name(writer):
        yield Break(path, "name")
    if any(reader.get(key) != writer.get(key) for key in ("logicalType", "precision", "scale")):
        yield Break(path, "logical type")
    if not set(writer.get("symbols", ())) <= set(reader.get("symbols", ())):
        yield Break(path, "symbols")
    written = {field["name"]: field for field in writer.get("fields", ())}
    for field in reader.get("fields", ()):
        inner = f"{path}.{field['name']}".lstrip(".")
        if field.get("aliases"):
            yield Break(inner, "alias")
        if field["name"] not in written and "default" not in field:
            yield Break(inner, "default")
        elif field["name"] in written:
            yield from _overlooked(field["type"], written[field["name"]]["type"], inner)
    for inside in ("items", "values"):
        if inside in reader and inside in writer:
            yield from _overlooked(reader[inside], writer[inside], path)


def _branches(reader: Any, writer: Any) -> Iterator[tuple[Any, Any]]:
    """Pair corresponding branches of two unions: those of the same type, or the only two that are not null."""
    mine, theirs = ([b for b in (u if isinstance(u, list) else [u]) if b != "null"] for u in (reader, writer))
    if len(mine) == len(theirs) == 1:
        yield mine[0], theirs[0]
        return
    for branch in mine:
        for other in theirs:
            if _expanded(branch)["type"] == _expanded(other)["type"]:
                yield branch, other


def _expanded(schema: Any) -> Mapping[str, Any]:
    """Return a schema as an object; `{"type": {"type": ...}}` loses its outer layer."""
    if not isinstance(schema, Mapping):
        return {"type": schema}
    return _expanded(schema["type"]) if isinstance(schema["type"], Mapping) else schema


def _full_name(schema: Mapping[str, Any]) -> str:
    return f"{schema.get('namespace', '')}.{schema.get('name', '')}"


def main() -> int:
    """Print the problems; return 1 if there are any."""
    folder = FolderRegistry()
    found = changed_since_release(folder) + problems(folder, Catalogue())
    for line in found:
        print(line, file=sys.stderr)
    if found:
        print("schemas/README.md says how a schema may change.", file=sys.stderr)
    else:
        print(f"{len(folder.entries)} schema versions of {len(folder.versions)} records are compatible")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
