"""Reading some fields of a record gives the same values as reading the whole record."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from schemas.codec import Codec, CodecError
from schemas.fields import FieldReader
from schemas.folder_registry import FolderRegistry
from schemas.records import RECORD_TYPES, ContactCommand, DeliveryEvent
from schemas.samples import plain_example, sample

FOLDER = FolderRegistry()
CODEC = Codec(FOLDER)
DELIVERY = sample("DeliveryEvent")


@pytest.mark.parametrize("record", RECORD_TYPES)
def test_all_fields_are_read_as_the_schema_has_them(record: str) -> None:
    values = FieldReader(FOLDER, record).read(CODEC.encode(sample(record)))
    shown = {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}
    assert shown == plain_example(record)


@pytest.mark.parametrize("names", [{"status"}, {"timestamp", "to"}, {"event_id", "timestamp"}, set()])
def test_only_the_fields_that_are_asked_for_are_read(names: set[str]) -> None:
    values = FieldReader(FOLDER, "DeliveryEvent", names).read(CODEC.encode(DELIVERY))
    assert values == {name: value for name, value in plain_example("DeliveryEvent").items() if name in names}


class OlderWriter(FolderRegistry):
    """A registry that gives the ids of the oldest versions, as an older release did."""

    def id_of(self, record: str) -> int:
        return self.versions[record][0]["id"]


def test_records_of_an_older_version_get_the_defaults_of_the_newest() -> None:
    oldest = OlderWriter().schema(OlderWriter().id_of("ContactCommand"))
    assert "reason" not in [field["name"] for field in oldest["fields"]]
    command: Any = sample("ContactCommand")
    assert isinstance(command, ContactCommand)
    data = CODEC.encode(replace(command, reason=None, happened_at=None))
    # The last five fields are newer, and null and an empty list are one byte each.
    older = b"\x00" + OlderWriter().id_of("ContactCommand").to_bytes(4, "big") + data[5:-5]
    assert FieldReader(FOLDER, "ContactCommand").read(older) == {**plain_example("ContactCommand"), "reason": None}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "magic byte"),
        (b"\x00\x00\x00\x00\x01", "schema id 1 is unknown"),
        (CODEC.encode(sample("Receipt")), "is a Receipt, expected a DeliveryEvent"),
        (CODEC.encode(DELIVERY)[:-9], "does not read as schema"),
        (CODEC.encode(DELIVERY) + b"x", "1 bytes too many"),
    ],
)
def test_what_is_no_such_record_is_refused_with_the_reason(data: bytes, told: str) -> None:
    assert isinstance(DELIVERY, DeliveryEvent)
    with pytest.raises(CodecError, match=told):
        FieldReader(FOLDER, "DeliveryEvent", {"status"}).read(data)
