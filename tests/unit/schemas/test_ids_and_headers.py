"""Event ids and CloudEvents headers."""

from __future__ import annotations

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from hypothesis import given
from hypothesis import strategies as st

from schemas.cloudevents import event_headers, header, iso_time
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.ids import contact_key, derived_id, random_id, recipient_key
from schemas.records import RECORD_TYPES, ContactCommand
from schemas.samples import sample

parts = st.lists(st.text(max_size=8) | st.integers(), max_size=4)


@given(parts, parts)
def test_ids_are_equal_exactly_when_their_parts_are(left: list[str | int], right: list[str | int]) -> None:
    same = [str(part) for part in left] == [str(part) for part in right]
    separator_inside = any("\x1f" in str(part) for part in left + right) or [] in (left, right)
    if not separator_inside:
        assert (derived_id(*left) == derived_id(*right)) == same


def test_ids_look_alike() -> None:
    for event_id in (derived_id("a", 1), random_id()):
        assert event_id.startswith("evt_")
        assert len(event_id) == 30


def test_random_ids_differ() -> None:
    assert len({random_id() for _ in range(1_000)}) == 1_000


def test_keys() -> None:
    assert recipient_key("acme", "+15551230001") == b"acme:+15551230001"
    assert contact_key("acme", "+18005551234", "+15551230001") == "acme:+18005551234:+15551230001"


@pytest.mark.parametrize(
    ("millis", "text"),
    [
        (1_705_314_600_000, "2024-01-15T10:30:00.000Z"),
        (1_705_314_600_007, "2024-01-15T10:30:00.007Z"),
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
    ],
)
def test_times_are_written_in_utc_with_milliseconds(millis: int, text: str) -> None:
    assert iso_time(millis) == text


def command() -> ContactCommand:
    return ContactCommand(
        event_id="evt_1", command="remove", account="a", list_number="+1", phone_number="+2", issued_at=0
    )


def test_headers_are_those_of_the_kafka_binding() -> None:
    assert dict(event_headers(command(), "evt_1", 1_705_314_600_000)) == {
        "ce_specversion": b"1.0",
        "ce_source": b"/trackly",
        "ce_id": b"evt_1",
        "ce_type": b"trackly.ContactCommand",
        "ce_time": b"2024-01-15T10:30:00.000Z",
        "content-type": b"application/avro",
    }


def test_a_trace_goes_along() -> None:
    headers = event_headers(command(), "evt_1", 0, b"00-abc-def-01")
    assert header(headers, "traceparent") == b"00-abc-def-01"
    assert header(headers, "nothing") is None


@pytest.mark.parametrize("name", RECORD_TYPES)
def test_cloudevents_own_library_reads_every_record(name: str) -> None:
    record, folder = sample(name), FolderRegistry()
    value = Codec(folder).encode(record)
    message = KafkaMessage(dict(event_headers(record, "evt_1", 1_705_314_600_000)), b"acme:+15551230001", value)
    event = from_binary_event(message)
    assert (event.get_id(), event.get_source(), event.get_type()) == ("evt_1", "/trackly", folder.full_name(name))
    assert event.get_datacontenttype() == "application/avro"
    assert event.get_time() is not None
