"""Records of every release can be read forever, and those releases' readers can read today's."""

from __future__ import annotations

import base64
import json
from io import BytesIO
from typing import Any

import avro.io
import avro.schema
import pytest
from fastavro import parse_schema, schemaless_reader

from schemas.codec import Codec, wire_header
from schemas.folder_registry import FolderRegistry
from schemas.release import GOLDEN
from schemas.samples import record_of, sample
from schemas.topics import Catalogue

FOLDER = FolderRegistry()
CODEC = Codec(FOLDER)
PUBLIC = {topic.record for topic in Catalogue().values() if topic.public}
WRITTEN = [
    pytest.param(golden, id=f"{path.stem} {golden['record']}")
    for path in sorted(GOLDEN.glob("*.json"))
    for golden in json.loads(path.read_text("utf-8"))
]
PUBLIC_WRITTEN = [param for param in WRITTEN if param.values[0]["record"] in PUBLIC]  # type: ignore[index]


@pytest.mark.parametrize("golden", WRITTEN)
def test_a_record_of_a_release_is_read_with_defaults_for_what_is_new(golden: dict[str, Any]) -> None:
    schema = FOLDER.schema(FOLDER.id_of(golden["record"]))
    values = {field["name"]: golden["value"].get(field["name"], field.get("default")) for field in schema["fields"]}
    assert CODEC.decode(base64.b64decode(golden["bytes"])) == record_of(golden["record"], values)


@pytest.mark.parametrize("golden", PUBLIC_WRITTEN)
def test_the_readers_of_a_release_read_what_is_written_today(golden: dict[str, Any]) -> None:
    today, then = FOLDER.schema(FOLDER.id_of(golden["record"])), FOLDER.schema(golden["id"])
    body = CODEC.encode(sample(golden["record"]))[len(wire_header(0)) :]
    read = schemaless_reader(BytesIO(body), parse_schema(today), parse_schema(then))
    assert list(read) == [field["name"] for field in then["fields"]]
    apache = avro.io.DatumReader(avro.schema.make_avsc_object(today), avro.schema.make_avsc_object(then))
    assert apache.read(avro.io.BinaryDecoder(BytesIO(body))).keys() == read.keys()


@pytest.mark.parametrize("golden", PUBLIC_WRITTEN)
def test_apache_s_library_reads_a_release_with_the_newest_schema(golden: dict[str, Any]) -> None:
    today, then = FOLDER.schema(FOLDER.id_of(golden["record"])), FOLDER.schema(golden["id"])
    body = base64.b64decode(golden["bytes"])[len(wire_header(0)) :]
    reader = avro.io.DatumReader(avro.schema.make_avsc_object(then), avro.schema.make_avsc_object(today))
    read = reader.read(avro.io.BinaryDecoder(BytesIO(body)))
    assert list(read) == [field["name"] for field in today["fields"]]
