"""Parquet exports of every public topic, as read by third-party programs: each value has its field's type."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.samples import record_of
from schemas.topics import Catalogue
from tests.outside.readers.clients import POLARS, NotInstalled, installed
from tests.outside.readers.records import AT, COLUMNS, Given, given, seen
from tests.patience import PATIENCE
from trackly.commands.tap.export import PLACE
from trackly.commands.tap.history import FieldRows
from trackly.commands.tap.parquet import Parquet

ROWS = Path(__file__).parent / "polars" / "rows.py"


@pytest.fixture(scope="module")
def records() -> list[Given]:
    return given(topic for topic in Catalogue().values() if topic.public)


@pytest.fixture(scope="module")
def exports(records: list[Given], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Write a file per topic, with its name."""
    folder, codec = tmp_path_factory.mktemp("exports"), Codec(FolderRegistry())
    paths = []
    for topic in dict.fromkeys(record.topic for record in records):
        own = [record for record in records if record.topic == topic]
        export = Parquet(folder / f"{topic}.parquet", None, FieldRows(FolderRegistry(), own[0].record, []))
        export.take([_on_kafka(record, codec) for record in own])
        paths += export.close()
    return paths


def test_duckdb_reads_every_field_of_every_topic(records: list[Given], exports: list[Path]) -> None:
    lines = []
    with duckdb.connect() as database:
        for path in exports:
            found = database.execute("SELECT * FROM read_parquet(?)", [str(path)])
            names = [column[0] for column in found.description or ()]
            lines += [_line(path, dict(zip(names, row, strict=True)), records) for row in found.fetchall()]
    assert seen(lines, records) == dict.fromkeys(COLUMNS, "yes")


def test_polars_reads_every_field_of_every_topic(records: list[Given], exports: list[Path]) -> None:
    try:
        place = installed(POLARS)
    except NotInstalled as error:
        pytest.skip(f"polars was NOT run: {error}")
    command = [str(place / ".venv/bin/python"), str(ROWS), *map(str, exports)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    lines = [_line(Path(name), row, records) for name, row in map(json.loads, done.stdout.splitlines())]
    assert seen(lines, records) == dict.fromkeys(COLUMNS, "yes")


def _on_kafka(record: Given, codec: Codec) -> Any:
    value = None if record.value is None else codec.encode(record_of(record.record, record.value))
    key = record.key.encode()
    return SimpleNamespace(topic=record.topic, partition=0, offset=0, timestamp=AT, key=key, value=value, headers=())


def _line(path: Path, row: dict[str, Any], records: Iterable[Given]) -> str:
    """Return a row as readers of topics print a record. Exports have no headers: the type is the topic's."""
    kind = next(record.record for record in records if record.topic == path.stem)
    value = {name: cell for name, cell in row.items() if name not in PLACE}
    line = {"topic": path.stem, "key": row["kafka_key"], "type": f"trackly.{kind}"}
    return json.dumps({**line, "value": None if row["kafka_deleted"] else value}, default=str)
