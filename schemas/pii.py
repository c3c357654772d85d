"""The classification of personal data in every record: `pii.toml` as functions."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from schemas.folder_registry import FolderRegistry

_FOLDER = FolderRegistry()


class Unclassified(LookupError):
    """A field missing from `schemas/pii.toml`."""


def kinds() -> Mapping[str, str]:
    """Return the meaning of each kind of personal data, by name."""
    found: Mapping[str, str] = _classified()["kinds"]
    return found


@cache
def kind_of(record: str, field: str) -> str | None:
    """Return the kind of a field's personal data; None if it has none. Raises Unclassified."""
    given = _classified()
    kind = given["records"].get(record, {}).get(field) or given["fields"].get(field)
    if kind is None and field not in given["none"]["names"]:
        raise Unclassified(f"{record}.{field}: say in schemas/pii.toml whether it is personal")
    return None if kind in (None, "none") else str(kind)


def personal_fields(record: str) -> Mapping[str, str]:
    """Return the kinds of the newest schema's personal or secret fields, by field. Raises Unclassified."""
    names = [field["name"] for field in _FOLDER.schema(_FOLDER.id_of(record))["fields"]]
    return {name: kind for name in names if (kind := kind_of(record, name)) is not None}


@cache
def _classified() -> dict[str, Any]:
    return tomllib.loads(files("schemas").joinpath("pii.toml").read_text("utf-8"))
