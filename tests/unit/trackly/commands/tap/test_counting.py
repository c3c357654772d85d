"""What `trackly tap --count-by` counts."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from schemas.folder_registry import FolderRegistry
from schemas.records import DeliveryEvent, MessageSent
from schemas.samples import sample
from tests.unit.trackly.kafka_records import found
from trackly.commands.tap import command as tap
from trackly.commands.tap.command import Count
from trackly.commands.tap.history import FieldRows
from trackly.conditions import parse_condition
from trackly.errors import Failed


def count(record: str, paths: list[str], *conditions: str) -> Count:
    names = {path.partition(".")[0] for path in paths}
    return Count(FieldRows(FolderRegistry(), record, [parse_condition(text) for text in conditions], names), paths)


def delivery(**changes: Any) -> DeliveryEvent:
    event = sample("DeliveryEvent")
    assert isinstance(event, DeliveryEvent)
    return replace(event, **changes)


def message(**changes: Any) -> MessageSent:
    sent = sample("MessageSent")
    assert isinstance(sent, MessageSent)
    return replace(sent, **changes)


def test_values_are_counted_the_most_frequent_first() -> None:
    counted = count("DeliveryEvent", ["status"])
    counted.take(found("t", *(delivery(status=status) for status in ("expired", "delivered", "expired", "pending"))))
    assert counted.lines() == [
        {"status": "expired", "count": 2},
        {"status": "delivered", "count": 1},
        {"status": "pending", "count": 1},
    ]


def test_combinations_of_fields_are_counted_and_shown_as_json_has_them() -> None:
    counted = count("DeliveryEvent", ["final", "to", "timestamp"])
    counted.take(found("t", delivery(to=None), delivery(to=None)))
    (line,) = counted.lines()
    assert line == {"final": True, "to": None, "timestamp": "2026-11-20T10:15:32.120Z", "count": 2}


def test_fields_inside_fields_are_counted_and_where_there_is_none_null() -> None:
    counted = count("MessageSent", ["unique_args.campaign"])
    counted.take(found("t", message(), message(unique_args={})))
    assert counted.lines() == [
        {"unique_args.campaign": None, "count": 1},
        {"unique_args.campaign": "autumn", "count": 1},
    ]


def test_lists_and_maps_count_as_their_json() -> None:
    counted = count("MessageSent", ["unique_args"])
    counted.take(found("t", message(), message()))
    assert counted.lines() == [{"unique_args": '{"campaign":"autumn"}', "count": 2}]


def test_only_what_fits_is_counted_by_fields_that_are_not_shown_too() -> None:
    counted = count("DeliveryEvent", ["status"], "provider=cm")
    assert counted.take(found("t", delivery(provider="cm"), delivery())) == 1
    assert counted.lines() == [{"status": "delivered", "count": 1}]


def test_a_field_with_too_many_values_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tap, "MOST_VALUES", 2)
    with pytest.raises(Failed, match="more than 2 different values"):
        count("DeliveryEvent", ["event_id"]).take(found("t", *(delivery(event_id=f"evt_{n}") for n in range(3))))
