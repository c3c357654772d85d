"""What is personal in every record: `pii.toml` as functions."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from schemas.folder_registry import FolderRegistry

_FOLDER = FolderRegistry()


class Unclassified(LookupError):
    """A field that `schemas/pii.toml` does not mention."""


def kinds() -> Mapping[str, str]:
    """What each kind of personal data means, by its name."""
    found: Mapping[str, str] = _classified()["kinds"]
    return found


@cache
def kind_of(record: str, field: str) -> str | None:
    """Kind of a field's personal data; None where it has none. Raises Unclassified."""
    given = _classified()
    kind = given["records"].get(record, {}).get(field) or given["fields"].get(field)
    if kind is None and field not in given["none"]["names"]:
        raise Unclassified(f"{record}.{field}: say in schemas/pii.toml whether it is personal")
    return None if kind in (None, "none") else str(kind)


def personal_fields(record: str) -> Mapping[str, str]:
    """Kind by field, of those fields of the newest schema that are personal or secret. Raises Unclassified."""
    names = [field["name"] for field in _FOLDER.schema(_FOLDER.id_of(record))["fields"]]
    return {name: kind for name in names if (kind := kind_of(record, name)) is not None}


@cache
def _classified() -> dict[str, Any]:
    return tomllib.loads(files("schemas").joinpath("pii.toml").read_text("utf-8"))
