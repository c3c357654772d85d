"""The reference in docs/ agrees with the code, and tools accept it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft201909Validator, Draft202012Validator, ValidationError
from open_data_contract_standard.model import OpenDataContractStandard
from typer.testing import CliRunner

from outbound.bodies import SHAPES, body_of
from schemas.cloudevents import event_headers
from schemas.samples import sample
from schemas.topics import Catalogue
from trackly.cli import app
from trackly.commands.topics.docs.reference import differences, reference
from trackly.commands.topics.docs.webhooks import webhook_schemas

DOCS = Path(__file__).parents[5] / "docs"
CATALOGUE = Catalogue()
runner = CliRunner()


# libyaml's, where PyYAML comes with it, reads the same in a fifth of the time.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def written() -> dict[str, str]:
    """The reference, made once."""
    return reference()


def test_what_is_written_is_up_to_date() -> None:
    assert differences(DOCS) == [], "run `trackly topics docs`"


def test_every_topic_has_a_page_that_says_what_readers_ask() -> None:
    for topic in CATALOGUE.values():
        name = topic.name if topic.delay_ms is None else topic.name.rpartition(".")[0]
        page = written()[f"topics/{name}.md"]
        for asked in (topic.purpose, topic.key, "## Order and duplicates", *topic.written_by, *topic.read_by):
            assert asked in page or topic.delay_ms is not None
        assert f"[{name}]({name}.md)" in written()["topics/README.md"]


def test_a_page_has_fields_with_their_docs_what_is_personal_and_an_example() -> None:
    page = written()["topics/sms.messages.md"]
    assert "| `part_count` | int, or null |  | Message parts (segments)" in page
    assert "| `to` | string | number | " in page
    assert "| `links[].url` | string | reference | Target of the link. |" in page
    assert '"campaign": "autumn"' in page


def test_writing_into_a_folder_changes_only_what_differs(tmp_path: Path) -> None:
    first = runner.invoke(app, ["topics", "docs", "--out", str(tmp_path)])
    assert (first.exit_code, len(first.stdout.splitlines())) == (0, len(written()))
    stale, left = tmp_path / "asyncapi.yaml", tmp_path / "topics" / "sms.gone.md"
    stale.write_text("", "utf-8")
    left.write_text("", "utf-8")
    checked = runner.invoke(app, ["topics", "docs", "--out", str(tmp_path), "--check"])
    assert (checked.exit_code, checked.stdout.splitlines()) == (1, [str(stale), str(left)])
    assert "run `trackly topics docs" in checked.stderr
    again = runner.invoke(app, ["topics", "docs", "--out", str(tmp_path)])
    assert (again.stdout.splitlines(), left.exists()) == ([str(stale), str(left)], False)
    assert runner.invoke(app, ["topics", "docs", "--out", str(tmp_path), "--check"]).exit_code == 0


# AsyncAPI; tests/outside has its own validator


def test_asyncapi_has_every_topic_with_a_record_and_the_headers_it_carries() -> None:
    document = yaml.load(written()["asyncapi.yaml"], LOADER)
    addresses = {channel["address"] for channel in document["channels"].values()}
    assert addresses == {topic.name for topic in CATALOGUE.values() if topic.record is not None}
    headers = document["components"]["messages"]["DeliveryEvent"]["headers"]
    assert set(headers["required"]) == {name for name, _ in event_headers(sample("DeliveryEvent"), "evt_1", 0)}


def test_asyncapi_is_of_the_version_that_generators_of_classes_read() -> None:
    assert yaml.load(written()["asyncapi.yaml"], LOADER)["asyncapi"] == "3.0.0"


# The data contract


def test_the_contract_fits_the_standard_s_own_schema() -> None:
    document = yaml.load(written()["contract.odcs.yaml"], LOADER)
    Draft201909Validator(json.loads(OpenDataContractStandard.json_schema())).validate(document)
    contract = OpenDataContractStandard.from_string(written()["contract.odcs.yaml"])
    assert contract.apiVersion == "v3.2.0"
    assert [each.physicalName for each in contract.schema_ or ()] == [t.name for t in CATALOGUE.values() if t.public]


def test_the_contract_classifies_what_is_personal() -> None:
    document = yaml.load(written()["contract.odcs.yaml"], LOADER)
    (delivery,) = [each for each in document["schema"] if each["name"] == "delivery"]
    classified = {each["name"]: each.get("classification") for each in delivery["properties"]}
    assert (classified["to"], classified["status"]) == ("number", None)


def test_the_contract_names_types_that_tools_can_turn_into_tables() -> None:
    document = yaml.load(written()["contract.odcs.yaml"], LOADER)
    properties = [each for topic in document["schema"] for each in topic["properties"]]
    assert {each["physicalType"] for each in properties} <= {
        "string", "int", "long", "boolean", "timestamp", "array", "map"
    }  # fmt: skip


def test_the_contract_says_what_a_map_and_a_list_contain() -> None:
    document = yaml.load(written()["contract.odcs.yaml"], LOADER)
    (messages,) = [each for each in document["schema"] if each["name"] == "messages"]
    found = {each["name"]: each for each in messages["properties"]}
    arguments, links = found["unique_args"], found["links"]
    assert (arguments["logicalType"], arguments["map"]["value"]["logicalType"]) == ("map", "string")
    assert [(each["name"], each["required"]) for each in links["items"]["properties"]] == [
        ("click_id", True), ("url", True)
    ]  # fmt: skip


# Webhooks


@pytest.mark.parametrize("record", SHAPES, ids=lambda r: r.__name__)
def test_a_webhook_body_fits_its_json_schema_and_no_more_and_no_less_does(record: type) -> None:
    schema: dict[str, Any] = json.loads(webhook_schemas()[SHAPES[record].event])
    Draft202012Validator.check_schema(schema)
    body = json.loads(body_of(sample(record.__name__)))  # type: ignore[arg-type]
    Draft202012Validator(schema).validate(body)
    assert list(body) == list(schema["properties"])
    for wrong in ({**body, "more": 1}, {k: v for k, v in body.items() if k != "timestamp"}, {**body, "event": "x"}):
        with pytest.raises(ValidationError):
            Draft202012Validator(schema).validate(wrong)


@pytest.mark.parametrize("record", SHAPES, ids=lambda r: r.__name__)
def test_every_field_of_a_webhook_has_a_type_as_generators_of_classes_ask_for(record: type) -> None:
    properties = json.loads(webhook_schemas()[SHAPES[record].event])["properties"]
    assert [name for name, field in properties.items() if "type" not in field] == []
