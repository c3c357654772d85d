"""Schema ids from the folder of this file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from functools import cache, cached_property
from importlib.resources import files
from typing import Any, TypedDict

from schemas.topics import Catalogue

FOLDER_IDS = 0x5400_0000
"""Added to the ids of `registry.toml`. Registries count from 1, so an id above this one is the folder's in every
deployment, and records written before a registry was configured stay readable."""


@cache
def _text(path: str) -> str:
    """Return the text of a file under `schemas/`; it does not change while the process runs."""
    return files("schemas").joinpath(path).read_text("utf-8")


class RegistryError(RuntimeError):
    """The schema registry cannot be used. The message gives the remedy."""


class SchemaVersion(TypedDict):
    """A version of a record's schema. `id` is the one in records, `file` is relative to `schemas/`."""

    id: int
    record: str
    version: int
    file: str


class FolderRegistry:
    """Ids and schemas of `schemas/registry.toml`: no service is needed to write or read records."""

    @cached_property
    def entries(self) -> list[SchemaVersion]:
        """Lines of `registry.toml`, with each record's versions in order."""
        lines: list[SchemaVersion] = tomllib.loads(_text("registry.toml"))["schema"]
        return sorted(({**line, "id": FOLDER_IDS + line["id"]} for line in lines), key=lambda e: e["version"])

    @cached_property
    def versions(self) -> Mapping[str, list[SchemaVersion]]:
        """Return all versions by record, oldest first."""
        found: dict[str, list[SchemaVersion]] = {}
        for entry in self.entries:
            found.setdefault(entry["record"], []).append(entry)
        return found

    @cached_property
    def _newest(self) -> dict[str, int]:
        return {record: versions[-1]["id"] for record, versions in self.versions.items()}

    @cached_property
    def _files(self) -> dict[int, str]:
        return {e["id"]: e["file"] for e in self.entries}

    def subjects(self, catalogue: Catalogue) -> dict[str, str]:
        """Return records by subject: those of topics (TopicNameStrategy) and those of records (RecordNameStrategy)."""
        found = {topic.subject: topic.record for topic in catalogue.values() if topic.record is not None}
        return found | {self.full_name(record): record for record in self.versions}

    def full_name(self, record: str) -> str:
        """Return a record's name with its namespace, as in Avro and in registries' subjects: `trackly.Receipt`."""
        return f"{self.schema(self.id_of(record))['namespace']}.{record}"

    def id_of(self, record: str) -> int:
        """Return the id of a record's newest schema. Raises KeyError if there is none."""
        return self._newest[record]

    def schema(self, schema_id: int) -> dict[str, Any]:
        """Return the schema with this id. Raises KeyError if there is none."""
        path = self._files[schema_id]
        schema: dict[str, Any] = json.loads(_text(path))
        return schema
