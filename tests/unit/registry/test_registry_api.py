"""The registry answers as Confluent's does: endpoints, bodies, error codes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from registry.app import MEDIA_TYPE, create_app
from schemas.folder_registry import FolderRegistry
from schemas.topics import Catalogue

FOLDER = FolderRegistry()
CATALOGUE = Catalogue(prefix="prod.")
SUBJECT = CATALOGUE["commands"].subject
RECEIPT_ID = FOLDER.id_of("Receipt")
VERSIONS = FOLDER.versions["ContactCommand"]

client = TestClient(create_app(CATALOGUE, FOLDER))


def get(path: str) -> Any:
    response = client.get(path)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == MEDIA_TYPE
    return response.json()


def schema_of(schema_id: int) -> dict[str, Any]:
    return FOLDER.schema(schema_id)


# Schemas


def test_a_schema_is_found_by_the_id_in_the_records() -> None:
    answer = get(f"/schemas/ids/{RECEIPT_ID}?fetchMaxId=false&subject=whatever")
    assert answer["schemaType"] == "AVRO"
    assert json.loads(answer["schema"]) == schema_of(RECEIPT_ID)
    assert get(f"/schemas/ids/{RECEIPT_ID}/schema") == schema_of(RECEIPT_ID)


def test_a_schema_is_found_by_its_guid() -> None:
    guid = get(f"/schemas/ids/{RECEIPT_ID}")["guid"]
    assert get(f"/schemas/guids/{guid.upper()}")["schema"] == get(f"/schemas/ids/{RECEIPT_ID}")["schema"]
    assert get(f"/schemas/guids/{guid}/ids") == [{"context": ".", "id": RECEIPT_ID}]


def test_an_id_names_the_subjects_that_use_it() -> None:
    assert get(f"/schemas/ids/{RECEIPT_ID}/subjects") == ["prod.sms.receipts-value", "trackly.Receipt"]
    newest = FOLDER.versions["Receipt"][-1]["version"]
    assert get(f"/schemas/ids/{RECEIPT_ID}/versions") == [
        {"subject": "prod.sms.receipts-value", "version": newest},
        {"subject": "trackly.Receipt", "version": newest},
    ]


def test_all_schemas_are_listed_or_only_the_newest_of_each_subject() -> None:
    everything = get("/schemas?subjectPrefix=trackly.ContactCommand")
    assert [each["version"] for each in everything] == [version["version"] for version in VERSIONS]
    (newest,) = get("/schemas?subjectPrefix=trackly.ContactCommand&latestOnly=true")
    assert newest["id"] == VERSIONS[-1]["id"]


# Subjects


def test_every_topic_with_a_record_and_every_record_is_a_subject() -> None:
    topics = {topic.subject for topic in CATALOGUE.values() if topic.record is not None}
    assert set(get("/subjects?deleted=true")) == topics | {f"trackly.{record}" for record in FOLDER.versions}


def test_a_subject_has_the_versions_of_its_record() -> None:
    assert get(f"/subjects/{SUBJECT}/versions") == [version["version"] for version in VERSIONS]
    newest = get(f"/subjects/{SUBJECT}/versions/latest")
    assert newest == {
        "subject": SUBJECT,
        "version": VERSIONS[-1]["version"],
        "id": VERSIONS[-1]["id"],
        "guid": newest["guid"],
        "schemaType": "AVRO",
        "schema": newest["schema"],
    }
    assert get(f"/subjects/{SUBJECT}/versions/-1") == newest
    assert get(f"/subjects/{SUBJECT}/versions/1")["id"] == VERSIONS[0]["id"]
    assert get(f"/subjects/{SUBJECT}/versions/1/schema") == schema_of(VERSIONS[0]["id"])
    assert get(f"/subjects/{SUBJECT}/versions/1/referencedby") == []


def test_the_default_context_may_stand_before_a_subject() -> None:
    assert get(f"/subjects/:.:{SUBJECT}/versions") == get(f"/subjects/{SUBJECT}/versions")


@pytest.mark.parametrize("version", VERSIONS, ids=lambda v: str(v["version"]))
def test_a_lookup_by_post_tells_the_version_of_a_schema(version: dict[str, Any]) -> None:
    body = {"schema": json.dumps(schema_of(version["id"]), indent=3)}
    response = client.post(f"/subjects/{SUBJECT}?normalize=False&deleted=True", json=body)
    assert (response.status_code, response.json()["version"], response.json()["id"]) == (
        200, version["version"], version["id"],
    )  # fmt: skip


def test_a_lookup_takes_a_schema_as_another_library_writes_it() -> None:
    schema = schema_of(RECEIPT_ID)
    written = {
        "name": "trackly.Receipt",
        "type": "record",
        "fields": [{"type": field["type"], "name": field["name"]} for field in schema["fields"]],
    }
    response = client.post("/subjects/trackly.Receipt", json={"schema": json.dumps(written)})
    assert (response.status_code, response.json()["id"]) == (200, RECEIPT_ID)


def test_registering_what_is_registered_gives_its_id() -> None:
    body = {"schema": json.dumps(schema_of(RECEIPT_ID))}
    response = client.post("/subjects/trackly.Receipt/versions", json=body)
    assert (response.status_code, response.json()["id"]) == (200, RECEIPT_ID)


# What else clients ask


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/", {}),
        ("/schemas/types", ["AVRO"]),
        ("/contexts", ["."]),
        ("/config", {"compatibilityLevel": "BACKWARD_TRANSITIVE"}),
        ("/config/prod.sms.receipts-value", {"compatibilityLevel": "FULL_TRANSITIVE"}),
        ("/config/prod.sms.raw-value?defaultToGlobal=true", {"compatibilityLevel": "BACKWARD_TRANSITIVE"}),
        ("/config/nothing?defaultToGlobal=true", {"compatibilityLevel": "BACKWARD_TRANSITIVE"}),
        ("/mode", {"mode": "READONLY"}),
        ("/mode/trackly.Receipt", {"mode": "READONLY"}),
    ],
)
def test_settings(path: str, answer: Any) -> None:
    assert get(path) == answer


def nested(times: int) -> str:
    """A schema of arrays in arrays."""
    return '{"type":"array","items":' * times + '"string"' + "}" * times


STRING = json.dumps({"schema": '"string"'})


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/associations/resources/-/prod.sms.raw?resourceType=topic&associationType=value", None, 404, 40410),
        ("GET", "/subjects/nothing/versions", None, 404, 40401),
        ("GET", "/subjects/a%2Fb/versions/latest", None, 404, 40401),
        ("GET", f"/subjects/{SUBJECT}/versions/99", None, 404, 40402),
        ("GET", f"/subjects/{SUBJECT}/versions/newest", None, 422, 42202),
        ("GET", f"/subjects/{SUBJECT}/versions/0", None, 422, 42202),
        ("GET", "/schemas/ids/1", None, 404, 40403),
        ("GET", "/schemas/ids/abc", None, 404, 40403),
        ("GET", "/schemas/guids/00000000-0000-0000-0000-000000000000", None, 404, 40403),
        ("GET", "/config/nothing", None, 404, 40408),
        ("GET", "/config/nothing?defaultToGlobal=false", None, 404, 40408),
        ("GET", "/mode/nothing", None, 404, 40409),
        ("GET", "/nothing", None, 404, 404),
        ("GET", f"/subjects/{SUBJECT}", None, 405, 405),
        ("POST", "/subjects/nothing", STRING, 404, 40401),
        ("POST", f"/subjects/{SUBJECT}", STRING, 404, 40403),
        ("POST", f"/subjects/{SUBJECT}", json.dumps({"schema": "{", "schemaType": "AVRO"}), 422, 42201),
        ("POST", f"/subjects/{SUBJECT}", json.dumps({"schema": '{"type":"rubbish"}'}), 422, 42201),
        ("POST", f"/subjects/{SUBJECT}", json.dumps({"schema": 5}), 422, 42201),
        ("POST", f"/subjects/{SUBJECT}", json.dumps({"schema": "{}", "schemaType": "JSON"}), 404, 40403),
        ("POST", f"/subjects/{SUBJECT}", json.dumps({"schema": "[" * 100_000}), 422, 42201),
        ("GET", f"/subjects/{SUBJECT}/versions/{'1' * 5_000}", None, 422, 42202),
        ("POST", f"/subjects/{SUBJECT}", "[" * 200_000, 400, 400),
        ("POST", f"/subjects/{SUBJECT}", "[]", 400, 400),
        ("POST", f"/subjects/{SUBJECT}", "x" * 2_000_000, 413, 413),
        ("POST", f"/subjects/{SUBJECT}/versions", STRING, 422, 42205),
        ("DELETE", f"/subjects/{SUBJECT}", None, 422, 42205),
        ("PUT", "/config", json.dumps({"compatibility": "NONE"}), 422, 42205),
    ],
)
def test_errors_carry_the_code_that_clients_decide_by(
    method: str, path: str, body: str | None, status: int, code: int
) -> None:
    response = client.request(method, path, content=body)
    assert (response.status_code, response.json()["error_code"]) == (status, code)
    assert response.json()["message"]


def test_whoever_asks_for_what_a_read_only_registry_lacks_is_told_so() -> None:
    response = client.post(f"/compatibility/subjects/{SUBJECT}/versions/latest", content=STRING)
    assert "read-only and serves what readers ask for" in response.json()["message"]


def test_a_schema_that_is_nested_deeply_is_answered() -> None:
    response = client.post(f"/subjects/{SUBJECT}", content=json.dumps({"schema": nested(2_000)}))
    # Since Python 3.12, it can be read, and is not known.
    assert (response.status_code, response.json()["error_code"]) in {(422, 42201), (404, 40403)}


async def test_a_body_that_does_not_come_is_waited_for_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.app.BODY_SECONDS", 0.05)
    path = f"/subjects/{SUBJECT}"
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
             "headers": [], "root_path": ""}  # fmt: skip
    sent: list[Any] = []

    async def receive() -> Any:
        if sent:
            return {"type": "http.disconnect"}
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    await asyncio.wait_for(create_app(CATALOGUE, FOLDER)(scope, receive, send), 5)
    assert sent[0]["status"] == 408
