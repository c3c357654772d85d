"""Records to bytes and back, in the Confluent wire format."""

from __future__ import annotations

import io
import json
import struct
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_writer
from fastavro.schema import to_parsing_canonical_form
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from schemas.codec import Codec, CodecError, schema_id_of, without_logical_types
from schemas.folder_registry import FolderRegistry
from schemas.records import RECORD_TYPES, Link, MessageSent, RawCallback, Receipt, Record

CODEC = Codec(FolderRegistry())

text = st.text(max_size=30)
millis = st.integers(0, 4_102_444_800_000)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "str": text,
    "str | None": st.none() | text,
    "int": st.integers(0, 2**31 - 1),
    "int | None": st.none() | st.integers(0, 2**31 - 1),
    "float | None": st.none() | st.floats(0.01, 1e6),
    "bool": st.booleans(),
    "bool | None": st.booleans() | st.none(),
    "bytes": st.binary(max_size=50),
    "bytes | None": st.none() | st.binary(max_size=50),
    "Mapping[str, str]": st.dictionaries(text, text, max_size=3),
    "Mapping[str, int]": st.dictionaries(text, st.integers(0, 2**40), max_size=3),
    "Mapping[str, float]": st.dictionaries(text, st.floats(0.01, 1e6), max_size=3),
    "Mapping[str, bool]": st.dictionaries(text, st.booleans(), max_size=3),
    "Mapping[str, Mapping[str, str]]": st.dictionaries(text, st.dictionaries(text, text, max_size=2), max_size=2),
    "Mapping[str, tuple[str, ...]]": st.dictionaries(text, st.lists(text, max_size=2).map(tuple), max_size=2),
    "tuple[str, ...]": st.lists(text, max_size=3).map(tuple),
    "tuple[Link, ...]": st.lists(st.builds(Link, text, text), max_size=3).map(tuple),
}


def records() -> st.SearchStrategy[Record]:
    return st.one_of(
        *(
            st.builds(cls, **{name: VALUES[str(kind)] for name, kind in cls.__annotations__.items()})
            for cls in RECORD_TYPES.values()
        )
    )


@given(records())
def test_what_is_encoded_is_decoded(record: Record) -> None:
    assert CODEC.decode(CODEC.encode(record)) == record


@given(st.binary(max_size=200))
def test_arbitrary_bytes_give_a_record_or_a_codec_error(data: bytes) -> None:
    try:
        CODEC.decode(data)
    except CodecError:
        pass


@given(records(), st.data())
def test_a_damaged_record_gives_a_record_or_a_codec_error(record: Record, data: st.DataObject) -> None:
    encoded = bytearray(CODEC.encode(record))
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] = data.draw(st.integers(0, 255))
    try:
        CODEC.decode(bytes(encoded))
    except CodecError:
        pass


def link_message() -> MessageSent:
    return MessageSent(
        message_id="m",
        account="a",
        provider="p",
        provider_message_id="x",
        list_number="+1",
        to="+2",
        links=(Link("c", "https://example.com"),),
        sent_at=1,
    )


def test_bytes_begin_with_zero_and_the_schema_id() -> None:
    encoded = CODEC.encode(link_message())
    assert encoded[0] == 0
    assert struct.unpack(">I", encoded[1:5])[0] == FolderRegistry().id_of("MessageSent") == schema_id_of(encoded)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (None, "magic byte"),
        (b"", "magic byte"),
        (b"{}", "magic byte"),
        (b"\x01\x00\x00\x00\x01abc", "magic byte"),
        (b"\x00\x00\x00\xff\xffabc", "schema id 65535"),
        (b"\x00\x54\x00\x00\x01", "schema 1409286145"),
    ],
)
def test_what_is_no_record_is_refused_with_the_reason(data: bytes | None, complaint: str) -> None:
    with pytest.raises(CodecError, match=complaint):
        CODEC.decode(data)


def test_bytes_after_the_record_are_refused() -> None:
    with pytest.raises(CodecError, match="1 bytes too many"):
        CODEC.decode(CODEC.encode(link_message()) + b"x")


def test_another_record_than_the_expected_one_is_refused() -> None:
    with pytest.raises(CodecError, match="is a MessageSent, expected a Receipt"):
        CODEC.decode_as(Receipt, CODEC.encode(link_message()))


def test_a_value_that_does_not_fit_is_refused_with_the_record_s_name() -> None:
    broken = RawCallback("e", "p", "a", "POST", "/", "", {}, None, "text"[:4].encode(), "ip", received_at="now")  # type: ignore[arg-type]
    with pytest.raises(CodecError, match="RawCallback"):
        CODEC.encode(broken)


class OlderWriter(FolderRegistry):
    """A registry with an older version of receipts without the last field before `raw`."""

    def schema(self, schema_id: int) -> dict[str, Any]:
        if schema_id == 999:
            newest = super().schema(self.id_of("Receipt"))
            return {**newest, "fields": [f for f in newest["fields"] if f["name"] != "network"]}
        return super().schema(schema_id)


def test_records_of_an_older_schema_are_read_with_defaults() -> None:
    registry = OlderWriter()
    writer = Codec(registry)
    receipt = Receipt(
        event_id="e",
        account="a",
        provider="p",
        provider_message_id="m",
        to=None,
        status="delivered",
        status_detail="D",
        status_class="delivered",
        provider_status="D",
        final=True,
        received_at=1,
        raw="{}",
    )
    encoded = CODEC.encode(receipt)
    # `network` is null and stands before `raw` ("{}" with its length) and two fields that are null: take its byte out.
    older = b"\x00" + struct.pack(">I", 999) + encoded[5:-6] + encoded[-5:]
    assert writer.decode(older) == receipt


class SendersRegistry(FolderRegistry):
    """A registry in which a sender has registered its own schema of messages."""

    OF_SENDER = 7

    def __init__(self, schema: Any) -> None:
        super().__init__()
        self._of_sender = schema

    def schema(self, schema_id: int) -> dict[str, Any]:
        return self._of_sender if schema_id == self.OF_SENDER else super().schema(schema_id)


def newest_message() -> dict[str, Any]:
    folder = FolderRegistry()
    return folder.schema(folder.id_of("MessageSent"))


def of_sender(message: MessageSent) -> bytes:
    return b"\x00" + struct.pack(">I", SendersRegistry.OF_SENDER) + CODEC.encode(message)[5:]


def test_a_schema_in_parsing_canonical_form_names_the_same_record() -> None:
    # There a name includes its namespace. `String` of hamba/avro and `CanonicalSchema` of goavro write it so.
    codec = Codec(SendersRegistry(json.loads(to_parsing_canonical_form(newest_message()))))
    assert codec.decode(of_sender(link_message())) == link_message()


@pytest.mark.parametrize(
    ("unit", "a_millisecond"), [("timestamp-millis", 1), ("timestamp-micros", 1_000), ("timestamp-nanos", 1_000_000)]
)
@pytest.mark.parametrize("in_union", [False, True])
def test_times_are_read_in_the_unit_of_their_writers_schema(unit: str, a_millisecond: int, in_union: bool) -> None:
    kind: Any = {"type": "long", "logicalType": unit}
    schema = newest_message()
    *others, sent_at = schema["fields"]
    assert sent_at["name"] == "sent_at"
    schema["fields"] = [*others, {**sent_at, "type": ["null", kind] if in_union else kind}]
    written = io.BytesIO()
    written.write(b"\x00" + struct.pack(">I", SendersRegistry.OF_SENDER))
    values = {**asdict(link_message()), "links": [], "sent_at": 1_764_000_000_123 * a_millisecond}
    schemaless_writer(written, parse_schema(without_logical_types(schema)), values)
    expected = replace(link_message(), links=(), sent_at=1_764_000_000_123)
    assert Codec(SendersRegistry(schema)).decode(written.getvalue()) == expected


ELSEWHERE = {
    "type": "record",
    "name": "MessageSent",
    "namespace": "trackly",
    "fields": [{"name": "links", "type": {"type": "array", "items": "trackly.Link"}}],
}


@pytest.mark.parametrize(
    "schema",
    [
        "string",
        ["null", {"type": "record", "name": "MessageSent", "fields": []}],
        {"type": "enum", "name": "MessageSent", "symbols": ["A"]},
        ELSEWHERE,
    ],
    ids=["a type", "a union", "an enum", "a reference to another schema of the registry"],
)
def test_a_senders_schema_that_is_no_whole_record_is_refused(schema: Any) -> None:
    with pytest.raises(CodecError, match="schema id 7"):
        Codec(SendersRegistry(schema)).decode(of_sender(link_message()))
