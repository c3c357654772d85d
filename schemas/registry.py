"""Where schema ids come from: the folder beside this file, or a Confluent-compatible registry over HTTP."""

from __future__ import annotations

import json
import tomllib
from functools import cached_property
from importlib.resources import files
from typing import Any

import httpx

from schemas.codec import Registry


class RegistryError(RuntimeError):
    """The schema registry cannot be used. The message says what to do."""


class FolderRegistry:
    """Ids and schemas of `schemas/registry.toml`: no service is needed to write or read records."""

    @cached_property
    def entries(self) -> list[dict[str, Any]]:
        """Lines of `registry.toml`: id, record, version, file."""
        text = files("schemas").joinpath("registry.toml").read_text("utf-8")
        return list(tomllib.loads(text)["schema"])

    @cached_property
    def _newest(self) -> dict[str, int]:
        return {e["record"]: e["id"] for e in sorted(self.entries, key=lambda e: int(e["version"]))}

    @cached_property
    def _files(self) -> dict[int, str]:
        return {e["id"]: e["file"] for e in self.entries}

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

    Subjects follow the RecordNameStrategy (`trackly.Receipt`), because several topics share a record.
    Records with an id of the folder, written before the registry was configured, are not readable through it.
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
            schema = self._folder.schema(self._folder.id_of(record))
            subject = f"{schema['namespace']}.{record}"
            answer = self._call("POST", f"/subjects/{subject}/versions", {"schema": json.dumps(schema)})
            self._ids[record] = int(answer["id"])
        return self._ids[record]

    def schema(self, schema_id: int) -> dict[str, Any]:
        """Schema with this id. Raises KeyError when the registry has none, RegistryError when it fails."""
        if schema_id not in self._schemas:
            answer = self._call("GET", f"/schemas/ids/{schema_id}", None)
            self._schemas[schema_id] = json.loads(answer["schema"])
        return self._schemas[schema_id]

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        try:
            response = httpx.request(method, self._url + path, json=body, timeout=self._timeout)
        except httpx.HTTPError as error:
            raise RegistryError(
                f"Schema registry {self._url} does not answer ({type(error).__name__}). "
                "Check SCHEMA_REGISTRY_URL, or unset it to use the built-in schemas."
            ) from error
        if response.status_code == 404:
            raise KeyError(path)
        if response.status_code >= 400:
            raise RegistryError(
                f"Schema registry {self._url} refused {method} {path}: {response.status_code} {response.text[:300]}"
            )
        answer: dict[str, Any] = response.json()
        return answer


def registry_for(url: str | None) -> Registry:
    """The registry at `url`, or the folder when there is no URL."""
    return HttpRegistry(url) if url else FolderRegistry()
