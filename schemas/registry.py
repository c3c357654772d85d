"""Where schema ids come from: the folder beside this file, or a Confluent-compatible registry over HTTP."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from functools import cached_property
from importlib.resources import files
from typing import Any, TypedDict
from urllib.parse import quote, urlsplit, urlunsplit

import httpx

from schemas.codec import Registry
from schemas.topics import Catalogue

FOLDER_IDS = 0x5400_0000
"""Added to the ids of `registry.toml`. Registries count from 1: an id above this one is the folder's in every
deployment, so records that were written before a registry was configured stay readable afterwards."""


class RegistryError(RuntimeError):
    """The schema registry cannot be used. The message says what to do."""


class SchemaVersion(TypedDict):
    """One version of a record's schema. `id` is the one that stands in records, `file` is under `schemas/`."""

    id: int
    record: str
    version: int
    file: str


class FolderRegistry:
    """Ids and schemas of `schemas/registry.toml`: no service is needed to write or read records."""

    @cached_property
    def entries(self) -> list[SchemaVersion]:
        """Lines of `registry.toml`, the versions of each record in their order."""
        text = files("schemas").joinpath("registry.toml").read_text("utf-8")
        lines: list[SchemaVersion] = tomllib.loads(text)["schema"]
        return sorted(({**line, "id": FOLDER_IDS + line["id"]} for line in lines), key=lambda e: e["version"])

    @cached_property
    def versions(self) -> Mapping[str, list[SchemaVersion]]:
        """All versions by record, the oldest first."""
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
        """Record by subject: those of topics (TopicNameStrategy) and those of records (RecordNameStrategy)."""
        found = {topic.subject: topic.record for topic in catalogue.values() if topic.record is not None}
        return found | {self.full_name(record): record for record in self.versions}

    def full_name(self, record: str) -> str:
        """Name of a record with its namespace, as Avro and the subjects of registries have it: `trackly.Receipt`."""
        return f"{self.schema(self.id_of(record))['namespace']}.{record}"

    def id_of(self, record: str) -> int:
        """Id of the newest schema of a record. Raises KeyError when there is none."""
        return self._newest[record]

    def schema(self, schema_id: int) -> dict[str, Any]:
        """Schema with this id. Raises KeyError when there is none."""
        path = self._files[schema_id]
        schema: dict[str, Any] = json.loads(files("schemas").joinpath(path).read_text("utf-8"))
        return schema


class HttpRegistry:
    """A Confluent-compatible registry: our newest schemas are registered there and its ids are written.

    Subjects follow the RecordNameStrategy (`trackly.Receipt`), because several topics share a record; `publish`
    adds those of the topics, under the same ids. Ids of the folder are the folder's here too.
    https://docs.confluent.io/platform/current/schema-registry/develop/api.html
    """

    def __init__(self, url: str, timeout: float = 10.0) -> None:
        self._url = url.rstrip("/")
        self._timeout = timeout
        self._folder = FolderRegistry()
        self._ids: dict[str, int] = {}
        self._schemas: dict[int, dict[str, Any]] = {}

    def id_of(self, record: str) -> int:
        """Id that the registry gives to our newest schema of a record. Raises RegistryError."""
        if record not in self._ids:
            self._ids[record] = self._register(self._folder.full_name(record), self._folder.id_of(record))
        return self._ids[record]

    def schema(self, schema_id: int) -> dict[str, Any]:
        """Schema with this id. Raises KeyError when the registry has none, RegistryError when it fails."""
        if schema_id >= FOLDER_IDS:
            return self._folder.schema(schema_id)
        if schema_id not in self._schemas:
            answer = self._call("GET", f"/schemas/ids/{schema_id}", None)
            self._schemas[schema_id] = json.loads(answer["schema"])
        return self._schemas[schema_id]

    def publish(self, subject: str, record: str, level: str) -> list[int]:
        """Register all versions of a record under a subject, the oldest first, and set how it may change.

        Returns the registry's ids. What is there already stays as it is. Raises RegistryError.
        """
        ids = [self._register(subject, version["id"]) for version in self._folder.versions[record]]
        self._call("PUT", f"/config/{quote(subject, safe='')}", {"compatibility": level})
        return ids

    def _register(self, subject: str, schema_id: int) -> int:
        body = {"schema": json.dumps(self._folder.schema(schema_id))}
        return int(self._call("POST", f"/subjects/{quote(subject, safe='')}/versions", body)["id"])

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        try:
            response = httpx.request(method, self._url + path, json=body, timeout=self._timeout)
        except httpx.HTTPError as error:
            raise RegistryError(
                f"Schema registry {self._shown} does not answer ({type(error).__name__}). "
                "Check SCHEMA_REGISTRY_URL, or unset it to use the built-in schemas."
            ) from error
        if response.status_code == 404:
            raise KeyError(path)
        if response.status_code >= 400:
            raise RegistryError(
                f"Schema registry {self._shown} refused {method} {path}: {response.status_code} {response.text[:300]}"
            )
        answer: dict[str, Any] = response.json()
        return answer

    @property
    def _shown(self) -> str:
        """The URL without user and password."""
        parts = urlsplit(self._url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def registry_for(url: str | None) -> Registry:
    """The registry at `url`, or the folder when there is no URL."""
    return HttpRegistry(url) if url else FolderRegistry()
