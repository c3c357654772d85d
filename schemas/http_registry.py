"""Schema ids from a Confluent-compatible registry over HTTP."""

from __future__ import annotations

import json
import ssl
from functools import cached_property
from typing import Any
from urllib.parse import quote

import httpx

from schemas.folder_registry import FOLDER_IDS, FolderRegistry, RegistryError
from schemas.masking import masked_address


class HttpRegistry:
    """A Confluent-compatible registry: our newest schemas are registered there, and its ids are written.

    Subjects follow the RecordNameStrategy (`trackly.Receipt`), because several topics share a record; `publish` adds
    those of the topics, under the same ids. Ids known to the folder keep their meaning.
    https://docs.confluent.io/platform/current/schema-registry/develop/api.html
    """

    def __init__(self, url: str, timeout: float = 10.0) -> None:
        self._url = url.rstrip("/")
        self._timeout = timeout
        self._folder = FolderRegistry()
        self._ids: dict[str, int] = {}
        self._schemas: dict[int, dict[str, Any]] = {}

    def id_of(self, record: str) -> int:
        """Return the registry's id for a record's newest schema. Raises RegistryError."""
        if record not in self._ids:
            self._ids[record] = self._register(self._folder.full_name(record), self._folder.id_of(record))
        return self._ids[record]

    def schema(self, schema_id: int) -> dict[str, Any]:
        """Return the schema with this id. Raises KeyError if the registry has none, RegistryError if it fails."""
        if schema_id >= FOLDER_IDS:
            try:
                return self._folder.schema(schema_id)
            except KeyError:
                pass  # from a newer version, whose `trackly registry` has it
        if schema_id not in self._schemas:
            answer = self._call("GET", f"/schemas/ids/{schema_id}", None)
            self._schemas[schema_id] = json.loads(answer["schema"])
        return self._schemas[schema_id]

    def publish(self, subject: str, record: str, level: str) -> list[int]:
        """Register all versions of a record under a subject, oldest first, and set its compatibility level.

        Returns the registry's ids. Existing versions are unchanged. Raises RegistryError.
        """
        ids = [self._register(subject, version["id"]) for version in self._folder.versions[record]]
        self._call("PUT", f"/config/{quote(subject, safe='')}", {"compatibility": level})
        return ids

    def subjects(self) -> set[str]:
        """Return the names of all subjects in the registry. Raises RegistryError."""
        return set(map(str, self._call("GET", "/subjects", None)))

    def _register(self, subject: str, schema_id: int) -> int:
        body = {"schema": json.dumps(self._folder.schema(schema_id))}
        return int(self._call("POST", f"/subjects/{quote(subject, safe='')}/versions", body)["id"])

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        try:
            response = httpx.request(method, self._url + path, json=body, timeout=self._timeout, verify=self._trusted)
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

    @cached_property
    def _trusted(self) -> ssl.SSLContext:
        # Loading the certificate authorities takes longer than asking the registry.
        return httpx.create_ssl_context()

    @property
    def _shown(self) -> str:
        """Return the URL without user, password, and token."""
        return masked_address(self._url)
