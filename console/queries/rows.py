"""Field types of rows, with their JSON form and their visibility for roles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields, replace
from typing import Annotated, Any, TypeVar

import orjson
import sqlalchemy
from pydantic import PlainSerializer, WithJsonSchema

from schemas.cloudevents import iso_time
from schemas.masking import masked

PERSONAL = "personal"
"""Marks a field that not every role may see: `field(metadata=PHONE)` or `TEXT`."""

PHONE = {PERSONAL: "phone"}
TEXT = {PERSONAL: "text"}

HIDDEN = "(hidden)"

At = Annotated[
    int,
    PlainSerializer(iso_time, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-20T10:15:32.120Z"]}),
]
"""Milliseconds since 1970 UTC; ISO 8601 in JSON."""


def arguments_in(tags: str | None) -> dict[str, str]:
    """Return names and values of tags."""
    found: dict[str, str] = {} if tags is None else orjson.loads(tags)
    return found


Tags = Annotated[
    str | None,
    PlainSerializer(arguments_in, return_type=dict[str, str]),
    WithJsonSchema(
        {"type": "object", "additionalProperties": {"type": "string"}, "examples": [{"campaign": "spring"}]}
    ),
]
"""Names and values as stored, in JSON; an object in JSON, empty if there are none."""

Row = TypeVar("Row")


def without_personal(row: Row) -> Row:
    """Return a row as a viewer may see it: numbers masked, texts hidden. Nested rows are unchanged."""
    changes: dict[str, Any] = {}
    for each in fields(row):  # type: ignore[arg-type]
        value = getattr(row, each.name)
        if value is None or PERSONAL not in each.metadata:
            continue
        changes[each.name] = masked(value) if each.metadata[PERSONAL] == "phone" else HIDDEN
    return replace(row, **changes)  # type: ignore[type-var]


def maker(shape: type[Row], **columns: str) -> Callable[[sqlalchemy.Row[Any]], Row]:
    """Return a function that builds a `shape` from a table row: each field from the column of its name, or of the name
    given here.

    Fields with a default are left to the caller.
    """
    required = [each.name for each in fields(shape) if each.default is MISSING]  # type: ignore[arg-type]
    sources = [(name, columns.get(name, name)) for name in required]

    def make(row: sqlalchemy.Row[Any]) -> Row:
        # Use the mapping: a row is a tuple, whose method `count` hides a column of that name.
        values = row._mapping
        return shape(**{name: values[column] for name, column in sources})

    return make
