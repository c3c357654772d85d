"""For each field of each record, it is stated whether it is personal."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files

import pytest

from schemas.folder_registry import FolderRegistry
from schemas.pii import Unclassified, kind_of, kinds, personal_fields
from schemas.records import RECORD_TYPES
from schemas.samples import example

GIVEN = tomllib.loads(files("schemas").joinpath("pii.toml").read_text("utf-8"))
FOLDER = FolderRegistry()
NAMES = {field["name"] for entry in FOLDER.entries for field in FOLDER.schema(entry["id"])["fields"]}


@pytest.mark.parametrize("entry", FOLDER.entries, ids=lambda e: e["file"])
def test_every_field_of_every_version_is_classified(entry: dict[str, int]) -> None:
    schema = FOLDER.schema(entry["id"])
    assert {kind_of(schema["name"], field["name"]) for field in schema["fields"]} <= {None, *kinds()}


def test_nothing_is_classified_that_does_not_exist() -> None:
    assert {*GIVEN["fields"], *GIVEN["none"]["names"]} <= NAMES
    for record, fields in GIVEN["records"].items():
        assert set(fields) <= {field["name"] for field in FOLDER.schema(FOLDER.id_of(record))["fields"]}


def test_an_unknown_field_is_refused_with_the_place_to_mend() -> None:
    with pytest.raises(Unclassified, match=r"Receipt\.shoe_size.*pii\.toml"):
        kind_of("Receipt", "shoe_size")


@pytest.mark.parametrize("record", RECORD_TYPES)
def test_what_holds_a_recipient_s_number_in_an_example_is_classified(record: str) -> None:
    number = re.compile(r"\+?15551230001")
    holding = {name for name, value in example(record).items() if number.search(str(value))}
    assert holding <= set(personal_fields(record))


@pytest.mark.parametrize(
    ("record", "field", "kind"),
    [
        ("InboundMessage", "from", "number"),
        ("InboundMessage", "to", None),
        ("Receipt", "to", "number"),
        ("Receipt", "from", None),
        ("ReplyEvent", "body", "text"),
        ("WebhookTask", "body", "raw"),
        ("EndpointConfig", "secret", "secret"),
    ],
)
def test_the_same_name_may_mean_another_thing_in_another_record(record: str, field: str, kind: str | None) -> None:
    assert kind_of(record, field) == kind
