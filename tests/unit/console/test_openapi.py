"""The OpenAPI document: the application does what it promises, whatever is sent."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from accounts.keys import new_key
from accounts.secrets import new_key as new_secret_key
from console.app import openapi
from database.tables import attempts, messages
from operations.replays import Order
from schemas.records import ListConfig
from tests.unit.console.access.test_api_isolation import OF_THE_INSTALLATION
from tests.unit.console.console_parts import LIST, Api, endpoint, rotating
from tests.unit.console.rows import attempt, message

if TYPE_CHECKING:
    from tests.unit.console.documented_answers import DocumentedAnswers

# Made when the tests are collected: its state must not be too old by the time that they run.
API = Api(api_rate=1e9, api_burst=10**6, check_max_age=3_600, evidence_key=new_secret_key())
API.put(messages, message(1))
API.put(attempts, attempt())
API.counts_messages()  # an operation may give its account a cap
DOCUMENT = API.app.openapi()
OPERATIONS = [
    (path, method, operation) for path, methods in DOCUMENT["paths"].items() for method, operation in methods.items()
]
LABELS = [f"{method.upper()} {path}" for path, method, _ in OPERATIONS]


@pytest.mark.parametrize("operation", LABELS)
def test_every_answer_is_one_that_the_document_names(operation: str) -> None:
    # Examples of the document that cannot be sent are left out.
    assert _answers().check(operation) == []


@cache
def _answers() -> DocumentedAnswers:
    from tests.unit.console.documented_answers import DocumentedAnswers

    return DocumentedAnswers(API.app, API.acme)


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_every_operation_is_documented(path: str, method: str, operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["description"]
    assert {"401", "404", "422", "429", "503"} <= set(operation["responses"])
    assert operation["security"]


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
async def test_the_examples_of_the_document_can_be_sent_as_they_are(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    # What another operation made or deleted.
    API.accounts.put(rotating() if path.endswith("activate-secret") else endpoint())
    API.accounts.put(ListConfig(account="acme", number=LIST))
    API.accounts.drop("config_endpoints", "acme/billing")
    API.accounts.drop("config_lists", "acme/+18005550000")
    API.accounts.drop("config_accounts", "beta")
    API.keys.put(replace(new_key("acme", "till")[0], id="key_0123456789ab"))
    API.written.replays.put(replace(Order("acme/crm", "all").command("key:shop", 1), replay_id="rpl_1"))
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(parameter["schema"]["examples"][0]))
    body = operation.get("requestBody")
    example = None if body is None else example_of(body["content"]["application/json"]["schema"])
    key = API.key(None) if (method.upper(), path) in OF_THE_INSTALLATION else API.acme
    answer = await API.request(method, path, key=key, json=example)
    assert answer.status_code in (200, 201, 202, 204), answer.text


def example_of(schema: dict[str, Any]) -> Any:
    """A value made of the examples of the required fields."""
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "examples" in schema:
        return schema["examples"][0]
    if schema["type"] == "array":
        return [example_of(schema["items"])]
    return {name: example_of(schema["properties"][name]) for name in schema.get("required", [])}


def test_operations_are_named_once_and_for_people() -> None:
    # Methods of generated clients have these names, in a class a tag.
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(names)) == len(names)
    assert all("_api_" not in name for name in names)
    assert all(operation.get("tags") for _, _, operation in OPERATIONS)


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_no_parameter_may_be_null(path: str, method: str, operation: dict[str, Any]) -> None:
    # A client that takes null for a value sends the text "null", which is an account or a time of its own.
    for parameter in operation.get("parameters", []):
        assert parameter["schema"].get("type") in ("string", "integer", "boolean", "array"), parameter


def test_every_schema_has_a_title_of_its_own() -> None:
    titles = [schema["title"] for schema in DOCUMENT["components"]["schemas"].values()]
    assert len(set(titles)) == len(titles)


def test_the_document_is_the_same_without_a_console() -> None:
    assert openapi() == DOCUMENT
