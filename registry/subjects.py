"""The registry's content: subjects, their versions, and the ids used in records. No HTTP."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastavro.schema import SchemaParseException, UnknownType, to_parsing_canonical_form

from schemas.folder_registry import FolderRegistry
from schemas.topics import Catalogue


class NotASchema(ValueError):
    """A text that is not an Avro schema."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version under a subject. `schema` is JSON text; `guid` depends only on it."""

    subject: str
    version: int
    id: int
    schema: str

    @property
    def guid(self) -> str:
        """A name for the schema's text that is the same in every deployment."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, self.schema))

    def body(self) -> dict[str, Any]:
        """Return the answer of `/subjects/{subject}/versions/{version}`."""
        return {
            "subject": self.subject,
            "version": self.version,
            "id": self.id,
            "guid": self.guid,
            "schemaType": "AVRO",
            "schema": self.schema,
        }


class Subjects(Mapping[str, list[Version]]):
    """Versions by subject, oldest first: `{topic}-value` for every topic with a record, and `trackly.{record}`."""

    def __init__(self, catalogue: Catalogue, folder: FolderRegistry) -> None:
        texts = {entry["id"]: _text(folder.schema(entry["id"])) for entry in folder.entries}
        records = folder.subjects(catalogue)
        self._subjects = {
            subject: [Version(subject, v["version"], v["id"], texts[v["id"]]) for v in folder.versions[record]]
            for subject, record in sorted(records.items())
        }
        self._levels = {subject: catalogue.compatibility(record) for subject, record in records.items()}
        self._by_id: dict[int, list[Version]] = {}
        for versions in self._subjects.values():
            for version in versions:
                self._by_id.setdefault(version.id, []).append(version)
        self._by_guid = {found[0].guid: found for found in self._by_id.values()}

    def __getitem__(self, subject: str) -> list[Version]:
        return self._subjects[subject]

    def __iter__(self) -> Iterator[str]:
        return iter(self._subjects)

    def __len__(self) -> int:
        return len(self._subjects)

    def with_id(self, schema_id: int) -> list[Version]:
        """Return the versions, one per subject, that wrote records with this id."""
        return self._by_id.get(schema_id, [])

    def with_guid(self, guid: str) -> list[Version]:
        """Return the same by the schema's guid."""
        return self._by_guid.get(guid, [])

    def level(self, subject: str) -> str:
        """Return the compatibility level of a subject."""
        return self._levels[subject]

    def find(self, subject: str, schema: str) -> Version | None:
        """Return the version of a subject that a text represents, the newest if there are several. Raises NotASchema.

        Each client's library formats schemas its own way, so texts are compared by content or, failing that, by Avro's
        parsing canonical form, which omits defaults and docs.
        """
        try:
            given = json.loads(schema)
            wanted = to_parsing_canonical_form(given)
        except (ValueError, TypeError, KeyError, AttributeError, SchemaParseException, UnknownType) as error:
            raise NotASchema(f"Invalid schema: {error!r:.500}") from None
        except RecursionError:
            raise NotASchema("Invalid schema: it is nested too deeply") from None
        versions = self._subjects[subject][::-1]
        exact = next((v for v in versions if json.loads(v.schema) == given), None)
        return exact or next((v for v in versions if to_parsing_canonical_form(json.loads(v.schema)) == wanted), None)


def _text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, separators=(",", ":"), ensure_ascii=False)
