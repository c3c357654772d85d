"""confluent-kafka's deserializer, pointed at our registry, reads every public topic."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from registry.app import create_app
from schemas.codec import Codec, CodecError
from schemas.folder_registry import FolderRegistry
from schemas.http_registry import HttpRegistry
from schemas.records import AccountConfig
from schemas.samples import example, sample
from schemas.topics import Catalogue, Topic
from tests.http_servers import served

CATALOGUE = Catalogue()
CODEC = Codec(FolderRegistry())
PUBLIC = [topic for topic in CATALOGUE.values() if topic.public]


@pytest.fixture(scope="module")
def client() -> Iterator[SchemaRegistryClient]:
    with served(create_app(CATALOGUE)) as url, SchemaRegistryClient({"url": url}) as opened:
        yield opened


def as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value


@pytest.mark.parametrize("options", [{}, {"use.latest.version": True}], ids=["by id", "as the latest version"])
@pytest.mark.parametrize("topic", PUBLIC, ids=lambda t: t.name)
def test_records_of_every_public_topic_are_read(
    topic: Topic, options: dict[str, Any], client: SchemaRegistryClient
) -> None:
    read = AvroDeserializer(client, conf=options)
    assert topic.record is not None
    value = read(CODEC.encode(sample(topic.record)), SerializationContext(topic.name, MessageField.VALUE))
    assert {name: as_json(each) for name, each in value.items()} == example(topic.record)


def test_a_sender_s_serializer_writes_what_our_codec_reads(client: SchemaRegistryClient) -> None:
    topic = CATALOGUE["messages"]
    schema = client.get_latest_version(topic.subject).schema
    values = {**example("MessageSent"), "sent_at": datetime.fromisoformat(example("MessageSent")["sent_at"])}
    data = AvroSerializer(client, schema)(values, SerializationContext(topic.name, MessageField.VALUE))
    assert CODEC.decode(data) == sample("MessageSent")


class Older(FolderRegistry):
    """The schemas of a version that lacks the newest of accounts."""

    def schema(self, schema_id: int) -> dict[str, Any]:
        if schema_id == self.versions["AccountConfig"][-1]["id"]:
            raise KeyError(schema_id)
        return super().schema(schema_id)

    def id_of(self, record: str) -> int:
        return int(self.versions[record][-2]["id"])


def test_an_older_version_reads_what_a_newer_one_has_written_by_its_registry() -> None:
    written = CODEC.encode(AccountConfig(id="acme", name="Acme"))
    with pytest.raises(CodecError, match="unknown to the registry"):
        Codec(Older()).decode(written)
    with served(create_app(CATALOGUE)) as url:
        registry = HttpRegistry(url)
        registry._folder = Older()
        assert registry.schema(FolderRegistry().id_of("AccountConfig"))["name"] == "AccountConfig"
