"""Every record has an example, and every example is a record."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from schemas.codec import Codec, CodecError
from schemas.folder_registry import FolderRegistry
from schemas.records import RECORD_TYPES
from schemas.samples import example, record_of, sample

FILES = sorted(files("schemas").joinpath("examples").iterdir(), key=lambda path: path.name)


@pytest.mark.parametrize("record", RECORD_TYPES)
def test_an_example_is_a_record_that_is_written_and_read(record: str) -> None:
    codec = Codec(FolderRegistry())
    assert codec.decode(codec.encode(sample(record))) == sample(record)
    assert type(sample(record)).__name__ == record


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_a_file_has_no_field_that_its_schema_lacks(path: object) -> None:
    values = json.loads(path.read_text("utf-8"))  # type: ignore[attr-defined]
    assert set(values) <= set(example(path.name.removesuffix(".json")))  # type: ignore[attr-defined]


def test_numbers_and_hosts_are_those_that_are_reserved_for_documentation() -> None:
    text = "".join(path.read_text("utf-8") for path in FILES)
    assert "+1555" in text
    assert ".com" not in text


def test_values_that_do_not_fit_are_refused() -> None:
    with pytest.raises(CodecError, match=r"Receipt.*final"):
        record_of("Receipt", {**example("Receipt"), "final": "perhaps"})
