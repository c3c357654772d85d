"""Sentences and types shared by the pages, AsyncAPI, and the data contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from schemas.folder_registry import FolderRegistry
from schemas.pii import kind_of
from schemas.pseudonyms import Pseudonyms
from schemas.samples import example
from schemas.topics import Topic

FOLDER = FolderRegistry()
SERVICES = ("ingest", "streams", "sinks", "console")
"""The names in `written_by` and `read_by` that are processes of trackly."""

WIRE_FORMAT = (
    "Avro in the Confluent wire format: a zero byte, four bytes of schema ID, then the body."
    " `trackly registry` serves the schemas."
)


_IN_MIRRORS = {"number": "pseudonym", "text": "left out"}


class Field(NamedTuple):
    """A field of a record: dotted name (`links[].url`), type in words, doc, and kind of personal data or None."""

    name: str
    type: str
    nullable: bool
    doc: str
    pii: str | None


def schema_of(record: str) -> dict[str, Any]:
    """Return the newest schema of a record."""
    return FOLDER.schema(FOLDER.id_of(record))


def fields_of(record: str) -> Iterator[Field]:
    """Yield the fields of a record; those of nested records follow the field that contains them."""
    for field in schema_of(record)["fields"]:
        pii = kind_of(record, field["name"])
        kind = without_null(field["type"])
        yield Field(field["name"], type_name(kind), kind is not field["type"], field["doc"], pii)
        items = kind.get("items") if isinstance(kind, Mapping) else None
        if isinstance(items, Mapping):
            for inner in items["fields"]:
                yield Field(f"{field['name']}[].{inner['name']}", type_name(inner["type"]), False, inner["doc"], pii)


def pii_of(topic: Topic, kind: str | None) -> str | None:
    """Return the kind of personal data in a topic's field; in a mirror, it differs."""
    return _IN_MIRRORS.get(str(kind), kind) if topic.mirrors is not None else kind


def example_of(topic: Topic) -> dict[str, Any]:
    """Return an example of a topic's record in JSON form."""
    record = str(topic.record)
    values = example(record)
    if topic.mirrors is None:
        return values
    shown = {"number": Pseudonyms("an example").of("acme", "+15551230001"), "text": ""}
    return {name: shown.get(str(kind_of(record, name)), value) for name, value in values.items()}


def without_null(kind: Any) -> Any:
    """Return a nullable field's type without null, and other types unchanged."""
    if isinstance(kind, list):
        return next(branch for branch in kind if branch != "null")
    return kind


def type_name(kind: Any) -> str:
    """Return a type in words: `string`, `time`, `list of string`, `map of string`."""
    match kind:
        case list():
            return " or ".join(type_name(branch) for branch in kind)
        case {"logicalType": "timestamp-millis"}:
            return "time"
        case {"type": "array", "items": items}:
            return f"list of {type_name(items)}"
        case {"type": "map", "values": values}:
            return f"map of {type_name(values)}"
        case {"type": "record", "name": name}:
            return str(name)
        case {"type": inner}:
            return type_name(inner)
        case _:
            return str(kind)


def order(topic: Topic) -> str:
    """Return a sentence about the order of a topic's records."""
    if topic.key == "none":
        return "Records have no key and no order."
    text = f"Records with the same key ({topic.key}) are in one partition, in the order in which they were written."
    if topic.record is not None and any(f.name == "timestamp" for f in fields_of(topic.record)):
        text += " That is the order of arrival, not the order of the providers' clocks: compare `timestamp`."
    return text


def duplicates(topic: Topic) -> str:
    """Return a sentence about duplicates of records, and how to detect them."""
    if topic.compacted:
        text = "Compacted: the newest record of a key counts. Repeating a record changes nothing."
        if topic.record is not None and any(f.name == "version" for f in fields_of(topic.record)):
            text = (
                "Compacted. Of a key's records, the one with the highest `version` counts, and of equal"
                " versions the newer record. That is almost always the newest: but a worker that was cut off"
                " may write an older state after a newer one, which is then published again about a minute"
                " and a half later. So remember the version that you have seen for each key, and skip lower"
                " ones. The header `version` has it too, even if the record has no value."
            )
        if topic.public:
            text += (
                " A record without a value means that nothing is known about the key any more. Kafka drops"
                " it after a day (`delete.retention.ms`), so a reader that was away for longer must start"
                " from the beginning. Some of these have the key `::`, which nothing else has: they make"
                " Kafka clean a quiet partition."
            )
        return text
    if topic.record is not None and any(f.name == "event_id" for f in fields_of(topic.record)):
        return (
            "At least once: after a crash, a record may come again with the same `event_id` (also in the"
            " header `ce_id`). Drop duplicates by that, or write with `event_id` as the key."
        )
    return "At least once: after a crash, a record may come again."
