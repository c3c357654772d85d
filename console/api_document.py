"""The API's OpenAPI document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute

NULL = {"type": "null"}


def document(about: dict[str, Any], routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """Return FastAPI's document of these routes, changed where generators of clients misread it.

    No parameter may be null: neither a query nor a header can carry null, and some clients send the text `null`. Each
    schema has a title of its own, because some clients name their classes after titles.
    """
    found = get_openapi(**about, routes=routes)
    for operations in found["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", []):
                parameter["schema"] = _without_null(parameter["schema"])
    for name, schema in found["components"]["schemas"].items():
        schema["title"] = name.replace("_", "")
    return found


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    branches = [branch for branch in schema.get("anyOf", []) if branch != NULL]
    if len(branches) != 1:
        return schema
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**branches[0], **rest}
