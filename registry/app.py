"""The read side of Confluent's Schema Registry API, served from `schemas/`.

https://docs.confluent.io/platform/current/schema-registry/develop/api.html

Clients rely on the numeric error code in the body. Lookups by POST are reads: deserializers use them to find the
version of a schema. Query parameters without an effect here are ignored.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import cached_property
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from registry.subjects import NotASchema, Subjects, Version
from schemas.folder_registry import FolderRegistry
from schemas.topics import Catalogue

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
MAX_BODY_BYTES = 1 << 20
BODY_SECONDS = 10.0
DEFAULT_LEVEL = "BACKWARD_TRANSITIVE"
"""Applies to every subject, except that subjects of public topics have FULL_TRANSITIVE."""


class RequestRefused(Exception):
    """A request answered with an error: HTTP status, Confluent's error code, a sentence."""

    def __init__(self, status: int, code: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code


def create_app(catalogue: Catalogue, folder: FolderRegistry | None = None) -> Starlette:
    """Return the ASGI application; it can be mounted under any path."""
    api = _Api(catalogue, folder or FolderRegistry())
    routes = [
        ("GET", "/", lambda _: {}),
        ("GET", "/livez", lambda _: {}),
        ("GET", "/readyz", lambda _: {}),
        ("GET", "/contexts", lambda _: ["."]),
        ("GET", "/schemas", api.schemas),
        ("GET", "/schemas/types", lambda _: ["AVRO"]),
        ("GET", "/schemas/ids/{id}", api.schema_by_id),
        ("GET", "/schemas/ids/{id}/schema", api.schema_text_by_id),
        ("GET", "/schemas/ids/{id}/subjects", api.subjects_of_id),
        ("GET", "/schemas/ids/{id}/versions", api.versions_of_id),
        ("GET", "/schemas/guids/{guid}", api.schema_by_guid),
        ("GET", "/schemas/guids/{guid}/ids", api.ids_of_guid),
        ("GET", "/subjects", api.subjects),
        ("GET", "/subjects/{subject:path}/versions", api.versions),
        ("POST", "/subjects/{subject:path}/versions", api.register),
        ("GET", "/subjects/{subject:path}/versions/{version}", api.version),
        ("GET", "/subjects/{subject:path}/versions/{version}/schema", api.version_text),
        ("GET", "/subjects/{subject:path}/versions/{version}/referencedby", api.references),
        ("POST", "/subjects/{subject:path}", api.lookup),
        ("GET", "/config", lambda _: {"compatibilityLevel": DEFAULT_LEVEL}),
        ("GET", "/config/{subject:path}", api.config),
        ("GET", "/mode", lambda _: {"mode": "READONLY"}),
        ("GET", "/mode/{subject:path}", api.mode),
        ("GET", "/associations/{rest:path}", _no_association),
    ]  # fmt: skip
    app = Starlette(routes=[Route(path, _endpoint(call), methods=[method]) for method, path, call in routes])
    app.add_exception_handler(RequestRefused, _refused)
    app.add_exception_handler(HTTPException, _not_served)
    return app


class _Api:
    """One method per endpoint: takes a request, returns the answer for JSON. Raises RequestRefused."""

    def __init__(self, catalogue: Catalogue, folder: FolderRegistry) -> None:
        self._catalogue = catalogue
        self._folder = folder

    @cached_property
    def _subjects(self) -> Subjects:
        # Loaded on the first request: if the registry is only a part of the console, it may never be needed.
        return Subjects(self._catalogue, self._folder)

    def schemas(self, request: Request) -> list[dict[str, Any]]:
        newest = _is_true(request, "latestOnly")
        names = self.subjects(request)
        return [version.body() for name in names for version in self._subjects[name][-1 if newest else 0 :]]

    def subjects(self, request: Request) -> list[str]:
        prefix = _name(request.query_params.get("subjectPrefix", ""))
        return [name for name in self._subjects if name.startswith(prefix)]

    def schema_by_id(self, request: Request) -> dict[str, Any]:
        return _text_of(self._with_id(request)[0])

    def schema_text_by_id(self, request: Request) -> Any:
        return json.loads(self._with_id(request)[0].schema)

    def subjects_of_id(self, request: Request) -> list[str]:
        return [version.subject for version in self._with_id(request)]

    def versions_of_id(self, request: Request) -> list[dict[str, Any]]:
        return [{"subject": version.subject, "version": version.version} for version in self._with_id(request)]

    def schema_by_guid(self, request: Request) -> dict[str, Any]:
        return _text_of(self._with_guid(request)[0])

    def ids_of_guid(self, request: Request) -> list[dict[str, Any]]:
        return [{"context": ".", "id": self._with_guid(request)[0].id}]

    def versions(self, request: Request) -> list[int]:
        return [version.version for version in self._subject(request)]

    def version(self, request: Request) -> dict[str, Any]:
        return self._version(request).body()

    def version_text(self, request: Request) -> Any:
        return json.loads(self._version(request).schema)

    def references(self, request: Request) -> list[int]:
        self._version(request)
        return []

    async def lookup(self, request: Request) -> dict[str, Any]:
        found = await self._lookup(request)
        if found is None:
            raise RequestRefused(404, 40403, "Schema not found")
        return found.body()

    async def register(self, request: Request) -> dict[str, Any]:
        found = await self._lookup(request)
        if found is None:
            raise RequestRefused(422, 42205, "This registry is read-only")
        return {"id": found.id, "version": found.version, "guid": found.guid}

    def config(self, request: Request) -> dict[str, Any]:
        name = _name(request.path_params["subject"])
        if name not in self._subjects and _is_true(request, "defaultToGlobal"):
            return {"compatibilityLevel": DEFAULT_LEVEL}
        if name not in self._subjects:
            raise RequestRefused(404, 40408, f"Subject '{name}' does not have subject-level compatibility configured")
        return {"compatibilityLevel": self._subjects.level(name)}

    def mode(self, request: Request) -> dict[str, Any]:
        name = _name(request.path_params["subject"])
        if name not in self._subjects and not _is_true(request, "defaultToGlobal"):
            raise RequestRefused(404, 40409, f"Subject '{name}' does not have subject-level mode configured")
        return {"mode": "READONLY"}

    def _subject(self, request: Request) -> list[Version]:
        name = _name(request.path_params["subject"])
        if name not in self._subjects:
            raise RequestRefused(404, 40401, f"Subject '{name}' not found.")
        return self._subjects[name]

    def _version(self, request: Request) -> Version:
        versions, wanted = self._subject(request), request.path_params["version"]
        if wanted in ("latest", "-1"):
            return versions[-1]
        if not (wanted.isascii() and wanted.isdigit() and len(wanted) < 11 and 0 < int(wanted) < 2**31):
            raise RequestRefused(422, 42202, f"The specified version '{wanted}' is not a valid version id.")
        found = next((version for version in versions if version.version == int(wanted)), None)
        if found is None:
            raise RequestRefused(404, 40402, f"Version {wanted} not found.")
        return found

    def _with_id(self, request: Request) -> list[Version]:
        text = request.path_params["id"]
        found = self._subjects.with_id(int(text)) if text.isascii() and text.isdigit() and len(text) < 20 else []
        if not found:
            raise RequestRefused(404, 40403, f"Schema {text} not found")
        return found

    def _with_guid(self, request: Request) -> list[Version]:
        guid = request.path_params["guid"]
        found = self._subjects.with_guid(guid.lower())
        if not found:
            raise RequestRefused(404, 40403, f"Schema {guid} not found")
        return found

    async def _lookup(self, request: Request) -> Version | None:
        self._subject(request)
        body = await _body(request)
        if body.get("schemaType", "AVRO") not in ("AVRO", None):
            return None
        try:
            return self._subjects.find(_name(request.path_params["subject"]), body.get("schema") or "")
        except NotASchema as error:
            raise RequestRefused(422, 42201, str(error)) from None


def _endpoint(call: Callable[[Request], Any]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        answer = call(request)
        return _json(200, await answer if hasattr(answer, "__await__") else answer)

    return endpoint


async def _body(request: Request) -> dict[str, Any]:
    data = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                data += chunk
                if len(data) > MAX_BODY_BYTES:
                    raise RequestRefused(413, 413, f"The body is longer than {MAX_BODY_BYTES} bytes")
    except TimeoutError:
        raise RequestRefused(408, 408, f"The body did not arrive within {BODY_SECONDS:.0f} s") from None
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise RequestRefused(400, 400, "The body is not a JSON object")
    return body


def _no_association(request: Request) -> Any:
    # Clients since 2026 first ask which subject a topic is associated with, and after a 404 fall back to its name.
    raise RequestRefused(404, 40410, "No association found: subjects are named after topics and records")


def _text_of(version: Version) -> dict[str, Any]:
    return {"schema": version.schema, "schemaType": "AVRO", "guid": version.guid}


def _name(subject: str) -> str:
    """Return a subject without the default context, which clients may prepend."""
    return subject.removeprefix(":.:")


def _is_true(request: Request, parameter: str) -> bool:
    return request.query_params.get(parameter, "").lower() == "true"


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestRefused)
    return _json(error.status, {"error_code": error.code, "message": str(error)})


async def _not_served(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405 and request.method != "GET":
        return _json(422, {"error_code": 42205, "message": "This registry is read-only"})
    told = "This registry is read-only and serves what readers ask for: nothing is at this path"
    message = told if error.status_code == 404 else f"HTTP {error.status_code}"
    return _json(error.status_code, {"error_code": error.status_code, "message": message})


def _json(status: int, body: Any) -> Response:
    return Response(json.dumps(body, ensure_ascii=False), status, media_type=MEDIA_TYPE)
