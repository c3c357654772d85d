"""The schemas over HTTP, at the console's address."""

from __future__ import annotations

from schemas.folder_registry import FolderRegistry
from tests.unit.console.console_parts import Api


async def test_readers_find_schemas_without_a_key() -> None:
    answer = await Api().get(f"/registry/schemas/ids/{FolderRegistry().id_of('DeliveryEvent')}", key="")
    assert answer.status_code == 200
    assert '"DeliveryEvent"' in answer.json()["schema"]


async def test_what_is_not_there_is_told_as_readers_expect() -> None:
    answer = await Api().get("/registry/subjects/nothing/versions", key="")
    assert (answer.status_code, answer.json()["error_code"]) == (404, 40401)


async def test_the_api_s_document_does_not_describe_the_registry() -> None:
    paths = (await Api().get("/api/openapi.json", key="")).json()["paths"]
    assert not [path for path in paths if "registry" in path]
