"""Files that `trackly tap --out` writes: each format, resumed and from scratch."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from msgspec.structs import replace

from bus.reading.topic import BEGINNING
from bus.settings import BusSettings
from schemas.folder_registry import FolderRegistry
from schemas.records import DeliveryEvent, MessageSent, Record, ReplyEvent
from schemas.samples import example, sample
from schemas.topics import Catalogue
from tests.unit.trackly.kafka_records import found
from trackly.commands.tap import parquet
from trackly.commands.tap.export import PLACE, Csv, Export, JsonLines
from trackly.commands.tap.history import FieldRows, HistoryQuery, Position
from trackly.commands.tap.parquet import Parquet
from trackly.conditions import parse_condition
from trackly.decoding import Decoder
from trackly.errors import Failed

CATALOGUE = Catalogue()
DELIVERY = CATALOGUE["delivery"].name
DECODER = Decoder(BusSettings(bootstrap_servers="localhost:1"))


def delivery(number: int, status: str = "delivered") -> DeliveryEvent:
    event = sample("DeliveryEvent")
    assert isinstance(event, DeliveryEvent)
    return replace(event, event_id=f"evt_{number}", status=status)


def rows(record: str = "DeliveryEvent", *conditions: str) -> FieldRows:
    return FieldRows(FolderRegistry(), record, [parse_condition(text) for text in conditions])


Make = Callable[[Path, "dict[str, Any] | None"], Export]
FORMATS: dict[str, Make] = {
    "jsonl": lambda path, resumed: JsonLines(path, resumed, DECODER, []),
    "csv": lambda path, resumed: Csv(path, resumed, rows()),
    "parquet": lambda path, resumed: Parquet(path, resumed, rows()),
}


def event_ids(*paths: Path) -> list[str]:
    found: list[str] = []
    for path in paths:
        match path.suffix:
            case ".jsonl":
                found += [json.loads(line)["value"]["event_id"] for line in path.read_text("utf-8").splitlines()]
            case ".csv":
                found += [row["event_id"] for row in csv.DictReader(path.read_text("utf-8").splitlines())]
            case _:
                found += pyarrow.parquet.read_table(path)["event_id"].to_pylist()
    return found


# What stands in a file


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_appears_when_it_is_complete(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"events.{form}"
    export = FORMATS[form](path, None)
    assert export.take(found(DELIVERY, delivery(1), delivery(2))) == 2
    assert not path.exists()
    assert export.close() == [path]
    assert event_ids(path) == ["evt_1", "evt_2"]
    assert list(tmp_path.iterdir()) == [path]


def test_json_lines_are_those_that_tap_prints(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    export = JsonLines(path, None, DECODER, [parse_condition("status=expired")])
    records = found(DELIVERY, delivery(1), delivery(2, "expired"), b"junk", None)
    assert export.take(records) == 1
    export.close()
    assert json.loads(path.read_text("utf-8")) == DECODER.line(records[1])


def exported(export: Export, topic: str, *records: Record | bytes | None) -> Path:
    export.take(found(topic, *records))
    (path,) = export.close()
    return path


def test_csv_has_a_column_a_field_with_times_as_text_and_nested_values_as_json(tmp_path: Path) -> None:
    message = sample("MessageSent")
    assert isinstance(message, MessageSent)
    path = exported(
        Csv(tmp_path / "m.csv", None, rows("MessageSent")), CATALOGUE["messages"].name,
        message, replace(message, unique_args={}, part_count=None, callback_url=None), None,
    )  # fmt: skip
    first, second, deleted = csv.DictReader(path.read_text("utf-8").splitlines())
    assert list(first) == [*PLACE, *example("MessageSent")]
    assert first["sent_at"] == example("MessageSent")["sent_at"]
    assert json.loads(first["links"]) == example("MessageSent")["links"]
    assert json.loads(first["unique_args"]) == {"campaign": "autumn"}
    assert (second["unique_args"], second["part_count"], second["callback_url"]) == ("{}", "", "")
    assert (first["kafka_offset"], first["kafka_key"], first["kafka_deleted"]) == (
        "0", "acme:54321:+18005551234", "false",
    )  # fmt: skip
    assert (deleted["kafka_deleted"], deleted["message_id"]) == ("true", "")


FORMULA = '=HYPERLINK("http://evil.example")'


def test_csv_has_no_formulas(tmp_path: Path) -> None:
    reply = sample("ReplyEvent")
    assert isinstance(reply, ReplyEvent)
    path = exported(
        Csv(tmp_path / "r.csv", None, rows("ReplyEvent")), CATALOGUE["reply"].name, replace(reply, body=FORMULA)
    )
    (row,) = csv.DictReader(path.read_text("utf-8").splitlines())
    assert row["body"] == f"'{FORMULA}"
    assert row["phone_number"] == reply.phone_number


def test_json_lines_have_texts_as_they_are(tmp_path: Path) -> None:
    reply = sample("ReplyEvent")
    assert isinstance(reply, ReplyEvent)
    path = exported(
        JsonLines(tmp_path / "r.jsonl", None, DECODER, []), CATALOGUE["reply"].name, replace(reply, body=FORMULA)
    )
    assert json.loads(path.read_text("utf-8"))["value"]["body"] == FORMULA


def test_parquet_has_the_types_of_the_schema(tmp_path: Path) -> None:
    path = exported(
        Parquet(tmp_path / "m.parquet", None, rows("MessageSent")), CATALOGUE["messages"].name,
        sample("MessageSent"), None,
    )  # fmt: skip
    table = pyarrow.parquet.read_table(path)
    first, deleted = table.to_pylist()
    assert str(table.schema.field("sent_at").type) == "timestamp[ms, tz=UTC]"
    assert first["sent_at"] == datetime.fromisoformat(example("MessageSent")["sent_at"])
    assert first["kafka_timestamp"] == datetime(2024, 1, 15, 10, 30, 0, 123_000, UTC)
    assert first["links"] == example("MessageSent")["links"]
    assert dict(first["unique_args"]) == {"campaign": "autumn"}
    assert (first["part_count"], first["kafka_deleted"]) == (1, False)
    assert (deleted["message_id"], deleted["kafka_deleted"]) == (None, True)


@pytest.mark.parametrize("topic", [t for t in CATALOGUE.values() if t.public], ids=lambda t: t.name)
def test_every_public_topic_can_be_exported(topic: Any, tmp_path: Path) -> None:
    path = exported(Parquet(tmp_path / "x.parquet", None, rows(topic.record)), topic.name, sample(topic.record))
    assert pyarrow.parquet.read_table(path).column_names == [*PLACE, *example(topic.record)]


def test_an_export_of_nothing_is_a_file_with_columns(tmp_path: Path) -> None:
    path = exported(Parquet(tmp_path / "none.parquet", None, rows()), DELIVERY)
    assert pyarrow.parquet.read_table(path).num_rows == 0


def test_many_rows_are_written_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ROWS_A_GROUP", 10)
    export = Parquet(tmp_path / "events.parquet", None, rows())
    for start in range(0, 30, 6):
        export.take(found(DELIVERY, *(delivery(n) for n in range(start, start + 6))))
    (path,) = export.close()
    assert event_ids(path) == [f"evt_{n}" for n in range(30)]
    assert pyarrow.parquet.ParquetFile(path).num_row_groups == 3


# Conditions and what cannot be read


def test_only_what_fits_is_written_and_what_is_no_record_is_counted(tmp_path: Path) -> None:
    wanted = rows("DeliveryEvent", "status=expired", "timestamp>2026-11-20T10:15:32.119Z", "to~^\\+1555")
    export = Csv(tmp_path / "x.csv", None, wanted)
    records = found(DELIVERY, delivery(1), delivery(2, "expired"), b"junk", sample("Receipt"), None)
    assert export.take(records) == 1
    (path,) = export.close()
    assert event_ids(path) == ["evt_2"]
    assert wanted.unreadable == 2


def test_an_unknown_field_and_a_record_with_secrets_are_refused() -> None:
    with pytest.raises(Failed, match="DeliveryEvent has no field 'colour'"):
        rows("DeliveryEvent", "colour=red")
    with pytest.raises(Failed, match="EndpointConfig holds secrets"):
        rows("EndpointConfig")


# Going on


@pytest.mark.parametrize("form", FORMATS)
def test_a_resumed_export_goes_on_behind_what_the_position_knows_of(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"events.{form}"
    first = FORMATS[form](path, {})
    first.take(found(DELIVERY, delivery(1), delivery(2)))
    remembered = first.checkpoint(last=True)
    assert remembered is not None
    # Killed before the next position was saved: these come again.
    first.take(found(DELIVERY, delivery(3)))
    first.close()
    second = FORMATS[form](path, dict(remembered))
    second.take(found(DELIVERY, delivery(3), delivery(4)))
    second.checkpoint(last=True)
    second.close()
    paths = [path] if form != "parquet" else [path, tmp_path / "events-2.parquet"]
    assert event_ids(*paths) == [f"evt_{n}" for n in range(1, 5)]


def part_of_an_export(form: str, path: Path) -> dict[str, Any]:
    """What the position knows after two records."""
    first = FORMATS[form](path, {})
    first.take(found(DELIVERY, delivery(1), delivery(2)))
    remembered = first.checkpoint(last=True)
    assert remembered is not None
    first.close()
    return dict(remembered)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_after_a_file_was_moved_away_a_whole_one_follows_it(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"events.{form}"
    remembered = part_of_an_export(form, path)
    path.rename(tmp_path / "earlier")
    second = FORMATS[form](path, remembered)
    second.take(found(DELIVERY, delivery(3)))
    second.close()
    assert event_ids(path) == ["evt_3"]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_file_that_was_cut_is_not_written_on(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"events.{form}"
    remembered = part_of_an_export(form, path)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(Failed, match="is shorter than its position says"):
        FORMATS[form](path, remembered)
    assert path.stat().st_size == 20


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("resumed", [None, {}])
def test_a_file_of_somebody_else_is_not_written_over(form: str, resumed: dict[str, Any] | None, tmp_path: Path) -> None:
    path = tmp_path / f"events.{form}"
    path.write_text("precious", "utf-8")
    with pytest.raises(Failed, match="already exists"):
        FORMATS[form](path, resumed)
    assert path.read_text("utf-8") == "precious"


def test_a_long_export_with_a_position_begins_a_new_parquet_file_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "ROWS_A_GROUP", 2)
    monkeypatch.setattr(parquet, "ROWS_A_FILE", 2)
    export = Parquet(tmp_path / "events.parquet", {}, rows())
    saved = []
    for number in range(5):
        export.take(found(DELIVERY, delivery(number)))
        saved.append(export.checkpoint(last=number == 4))
    assert saved == [None, {"files": 1}, None, {"files": 2}, {"files": 3}]
    assert export.close() == [tmp_path / f"events{suffix}.parquet" for suffix in ("", "-2", "-3")]


# The position


def question(topic: str = DELIVERY, *conditions: str) -> HistoryQuery:
    return HistoryQuery(topic, BEGINNING, None, [parse_condition(text) for text in conditions])


def test_a_position_is_where_the_last_run_ended(tmp_path: Path) -> None:
    path = tmp_path / "position.json"
    first = Position(path, question())
    assert (first.next, first.remembered) == ({}, {})
    first.save({0: 5, 11: 7}, {"bytes": 100})
    second = Position(path, question())
    assert (second.next, second.remembered) == ({0: 5, 11: 7}, {"bytes": 100})


@pytest.mark.parametrize(
    ("other", "told"),
    [(question("sms.raw"), "a different query"), (question(DELIVERY, "status=expired"), "a different query")],
)
def test_a_position_belongs_to_one_question(other: HistoryQuery, told: str, tmp_path: Path) -> None:
    path = tmp_path / "position.json"
    Position(path, question()).save({0: 5}, {})
    with pytest.raises(Failed, match=told):
        Position(path, other)


def test_a_file_that_is_no_position_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("precious", "utf-8")
    with pytest.raises(Failed, match="is not a `trackly tap` position"):
        Position(path, question())
    assert path.read_text("utf-8") == "precious"
