"""Avro codec: converts typed records to bytes and back, in the Confluent wire format (0, 4-byte schema id, body).

https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format

Logical types are dropped before parsing, so that times stay integers (milliseconds): creating datetimes costs more than
the rest of the record. Senders may write with a schema of their own: its name may include the namespace, and its times
may count micro- or nanoseconds, which registries accept as compatible.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar, cast

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.schema import SchemaParseException
from msgspec.structs import asdict, fields

from schemas.records import RECORD_TYPES, Link, Record

MAGIC = 0
_HEADER = struct.Struct(">bI")
R = TypeVar("R", bound=Record)

UNREADABLE = (EOFError, IndexError, ValueError, TypeError, KeyError, OverflowError, MemoryError)
"""What fastavro raises for bytes that do not fit a schema."""


class CodecError(ValueError):
    """The bytes are not one of our records, or a record does not fit its schema."""


class UnknownSchema(CodecError):
    """The schema is unknown to this version; a newer one may have written the bytes."""


class Registry(Protocol):
    """The source of schemas and ids: the `schemas/` folder or a registry over HTTP."""

    def id_of(self, record: str) -> int:
        """Return the id of a record's newest schema."""

    def schema(self, schema_id: int) -> dict[str, Any]:
        """Return the schema with this id. Raises KeyError if there is none."""


class Codec:
    """Encodes and decodes records. Parses each schema once; safe to share in a process."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._encoders: dict[type, Callable[[Any], bytes]] = {}
        self._decoders: dict[int, Callable[[bytes], Record]] = {}

    def encode(self, record: Record) -> bytes:
        """Encode a record. Raises CodecError if a value does not fit its field."""
        encoder = self._encoders.get(type(record))
        if encoder is None:
            encoder = self._encoders[type(record)] = self._encoder(type(record))
        try:
            return encoder(record)
        except (TypeError, ValueError, AttributeError, KeyError, OverflowError) as error:
            raise CodecError(f"{type(record).__name__}: {error}") from error

    def decode(self, data: bytes | None) -> Record:
        """Decode a record of any type. Raises CodecError."""
        schema_id = schema_id_of(data)
        decoder = self._decoders.get(schema_id)
        if decoder is None:
            decoder = self._decoders[schema_id] = self._decoder(schema_id)
        try:
            return decoder(data or b"")
        except UNREADABLE as error:
            raise CodecError(f"does not read as schema {schema_id}: {error!r}") from error

    def decode_as(self, record_type: type[R], data: bytes | None) -> R:
        """Decode a record of this type. Raises CodecError."""
        record = self.decode(data)
        if not isinstance(record, record_type):
            raise CodecError(f"is a {type(record).__name__}, expected a {record_type.__name__}")
        return record

    def _encoder(self, record_type: type[Record]) -> Callable[[Any], bytes]:
        schema_id = self._registry.id_of(record_type.__name__)
        parsed = parse_schema(without_logical_types(self._registry.schema(schema_id)))
        renamed = _renamed(record_type)
        nested = "links" if "links" in record_type.__struct_fields__ else None
        header = wire_header(schema_id)

        def encode(record: Any) -> bytes:
            out = io.BytesIO()
            out.write(header)
            values = asdict(record)
            for avro, name in renamed:
                values[avro] = values.pop(name)
            if nested:
                values[nested] = [{"click_id": link.click_id, "url": link.url} for link in values[nested]]
            schemaless_writer(out, parsed, values)
            return out.getvalue()

        return encode

    def _decoder(self, schema_id: int) -> Callable[[bytes], Record]:
        try:
            schema = self._registry.schema(schema_id)
        except KeyError:
            raise UnknownSchema(f"schema id {schema_id} is unknown to the registry") from None
        if not isinstance(schema, Mapping) or schema.get("type") != "record":
            raise CodecError(f"schema id {schema_id} is of no record")
        # In parsing canonical form, a name includes its namespace.
        name = str(schema.get("name"))
        record_type = RECORD_TYPES.get(name.rpartition(".")[2])
        if record_type is None:
            raise CodecError(f"schema id {schema_id} is of {name!r}, which is not a record of ours")
        try:
            writer = parse_schema(without_logical_types(schema))
            divisors = _divisors(schema)
        except (SchemaParseException, *UNREADABLE) as error:
            # Such as one that refers to other schemas of the registry.
            raise CodecError(f"schema id {schema_id} cannot be read by itself: {error!r}") from error
        newest = self._registry.id_of(record_type.__name__)
        reader = None if newest == schema_id else parse_schema(without_logical_types(self._registry.schema(newest)))
        renamed = _renamed(record_type)
        types = {each.name: str(each.type) for each in fields(record_type)}
        arrays = [name for name, kind in types.items() if kind.startswith("tuple")]
        maps_of_arrays = [name for name, kind in types.items() if "Mapping[str, tuple" in kind]

        def decode(data: bytes) -> Record:
            stream = io.BytesIO(data)
            stream.seek(_HEADER.size)
            values = cast(dict[str, Any], schemaless_reader(stream, writer, reader))
            if stream.tell() != len(data):
                raise ValueError(f"{len(data) - stream.tell()} bytes too many")
            for avro, divisor in divisors:
                if values.get(avro) is not None:
                    values[avro] //= divisor
            for avro, name in renamed:
                values[name] = values.pop(avro)
            for name in arrays:
                items = values[name]
                values[name] = tuple(Link(**item) for item in items) if name == "links" else tuple(items)
            for name in maps_of_arrays:
                values[name] = {key: tuple(items) for key, items in values[name].items()}
            return record_type(**values)

        return decode


def _renamed(record_type: type[Record]) -> list[tuple[str, str]]:
    """Return the Avro name and the class name of each field where they differ."""
    return [(name.rstrip("_"), name) for name in record_type.__struct_fields__ if name.endswith("_")]


def _divisors(schema: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return the fields of a record whose times are finer than milliseconds, and how many make one.

    https://avro.apache.org/docs/1.12.0/specification/#timestamps
    """
    finer = {"timestamp-micros": 1_000, "timestamp-nanos": 1_000_000}
    found = []
    for field in schema["fields"]:
        for kind in field["type"] if isinstance(field["type"], list) else [field["type"]]:
            if isinstance(kind, Mapping) and kind.get("logicalType") in finer:
                found.append((str(field["name"]), finer[kind["logicalType"]]))
    return found


def schema_id_of(data: bytes | None) -> int:
    """Return the schema id in the bytes. Raises CodecError if they are not in the wire format."""
    if data is None or len(data) < _HEADER.size or data[0] != MAGIC:
        raise CodecError("not in the Confluent wire format: no magic byte 0 and schema id")
    return int(_HEADER.unpack_from(data)[1])


def wire_header(schema_id: int) -> bytes:
    """Return the prefix of every record: 0 and the schema id, big-endian."""
    return _HEADER.pack(MAGIC, schema_id)


def without_logical_types(schema: Any) -> Any:
    """Return a schema whose times are plain longs."""
    if isinstance(schema, Mapping):
        return {key: without_logical_types(value) for key, value in schema.items() if key != "logicalType"}
    if isinstance(schema, list):
        return [without_logical_types(item) for item in schema]
    return schema
