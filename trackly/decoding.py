"""Converts Kafka records to JSON objects for people and their tools: decoded, times as ISO 8601, no secrets."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import asdict

from accounts.secrets import redacted, with_secrets
from bus.settings import BusSettings
from schemas.cloudevents import iso_time
from schemas.codec import Codec, CodecError
from schemas.records import Record
from schemas.registry import registry_for

SECRET_TOPICS = ("config_accounts", "config_endpoints")
"""Topics (short names) whose bytes contain secrets: they are shown decoded or not at all."""


class KafkaRecord(Protocol):
    """A record as returned by aiokafka's consumer. `timestamp` is in milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    value: bytes | None


class Decoder:
    """Decodes the records of one deployment. Raises RegistryError if the registry fails."""

    def __init__(self, settings: BusSettings) -> None:
        self._registry = registry_for(settings.schema_registry_url)
        self.codec = Codec(self._registry)
        self._catalogue = settings.catalogue
        self._names: dict[type, list[tuple[str, str, bool]]] = {}

    def line(self, record: KafkaRecord, raw: bool = False) -> dict[str, Any]:
        """Return `{"topic","partition","offset","timestamp","key","headers","value"}`, and `error` if the value cannot
        be decoded. With `raw`, and for changelogs, the value is text or `{"base64": ...}`."""
        line: dict[str, Any] = {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": time_text(record.timestamp),
            "key": None if record.key is None else text_or_base64(record.key),
            "headers": {name: text_or_base64(value) for name, value in record.headers},
            "value": None,
        }
        topic = self._catalogue.named(record.topic)
        if record.value is None:
            return line
        if raw or (topic is not None and topic.id.startswith("table_")):
            line["value"] = text_or_base64(record.value)
            return line
        try:
            line["value"] = self.fields(self.codec.decode(record.value))
        except CodecError as error:
            # The text of a codec error may quote the bytes.
            hidden = topic is not None and topic.id in SECRET_TOPICS
            line["error"] = "is not readable" if hidden else str(error)
        return line

    def fields(self, record: Record) -> dict[str, Any]:
        """Return a record's fields in JSON form: names of the schema, times as ISO 8601, no secrets."""
        shown = with_secrets(record, redacted)
        return {
            name: time_text(value) if timed and isinstance(value, int) else plain(value)
            for name, attribute, timed in self._names_of(type(record))
            for value in [getattr(shown, attribute)]
        }

    def _names_of(self, record_type: type[Any]) -> list[tuple[str, str, bool]]:
        """Return each field's name in the schema, its name in the class, and whether it is a time."""
        if record_type not in self._names:
            schema = self._registry.schema(self._registry.id_of(record_type.__name__))
            times = {field["name"] for field in schema["fields"] if is_time(field["type"])}
            names = [(name.rstrip("_"), name) for name in record_type.__struct_fields__]
            self._names[record_type] = [(name, attribute, name in times) for name, attribute in names]
        return self._names[record_type]


def text_or_base64(data: bytes) -> str | dict[str, str]:
    """Return the text of UTF-8 bytes; other bytes as `{"base64": ...}`."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}


def time_text(millis: int) -> str | int:
    """Return `2024-01-15T10:30:00.000Z`; a number outside of the calendar stays a number."""
    try:
        return iso_time(millis)
    except (OverflowError, ValueError, OSError):
        return millis


def plain(value: Any) -> Any:
    """Return a value in JSON form: bytes as text or base64, nested records as objects."""
    if isinstance(value, bytes):
        return text_or_base64(value)
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return asdict(value) if isinstance(value, Struct) else value


def is_time(schema: Any) -> bool:
    """Whether values of an Avro type are times in milliseconds."""
    if isinstance(schema, list):
        return any(is_time(each) for each in schema)
    return isinstance(schema, Mapping) and schema.get("logicalType") == "timestamp-millis"
