"""The topics as an AsyncAPI document. https://www.asyncapi.com/docs/reference/specification/v3.0.0

An operation is from trackly's point of view: it sends to topics that it writes, and receives from topics that it reads.
"""

from __future__ import annotations

from typing import Any

from schemas.cloudevents import event_headers
from schemas.samples import plain_example, sample
from schemas.topics import Catalogue, Topic
from trackly.commands.topics.docs.words import SERVICES, WIRE_FORMAT, duplicates, order, schema_of
from trackly.commands.topics.docs.yaml_text import yaml_text

AVRO = "application/vnd.apache.avro;version=1.9.0"
BINDING = "0.5.0"
"""Version of the Kafka binding: https://www.asyncapi.com/docs/reference/bindings/kafka"""


def asyncapi(catalogue: Catalogue) -> str:
    """Return the document as YAML."""
    topics = {topic.id.replace(".", "_"): topic for topic in catalogue.values() if topic.record is not None}
    records = sorted({str(topic.record) for topic in topics.values()})
    document = {
        "asyncapi": "3.0.0",  # all that is needed here; @asyncapi/modelina 5.10.1 makes nothing of 3.1.0
        "info": {
            "title": "trackly",
            "version": "1.0.0",
            "description": f"The event topics of trackly. {WIRE_FORMAT}",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/avro",
        "servers": {
            "kafka": {
                "host": "localhost:9092",
                "protocol": "kafka",
                "description": "Apache Kafka, 3.7 or newer.",
                "bindings": {
                    "kafka": {
                        "schemaRegistryUrl": "http://localhost:8082",
                        "schemaRegistryVendor": "confluent",
                        "bindingVersion": BINDING,
                    }
                },
            }
        },
        "channels": {name: _channel(topic) for name, topic in topics.items()},
        "operations": {
            f"{action}_{name}": {
                "action": action,
                "channel": {"$ref": f"#/channels/{name}"},
                "summary": f"{verb} by {', '.join(who)}.",
                "messages": [{"$ref": f"#/channels/{name}/messages/{topic.record}"}],
            }
            for name, topic in topics.items()
            for action, verb, who in (("send", "Written", topic.written_by), ("receive", "Read", topic.read_by))
            if set(who) & set(SERVICES)
        },
        "components": {"messages": {record: _message(record) for record in records}},
    }
    return yaml_text(document)


def _channel(topic: Topic) -> dict[str, Any]:
    return {
        "address": topic.name,
        "title": topic.name,
        "description": f"{topic.purpose} {order(topic)} {duplicates(topic)}",
        "tags": [{"name": "public" if topic.public else "internal"}],
        "messages": {str(topic.record): {"$ref": f"#/components/messages/{topic.record}"}},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": topic.settings["cleanup.policy"].split(","),
                    "retention.ms": int(topic.settings["retention.ms"]),
                    "max.message.bytes": topic.max_message_bytes,
                },
                "bindingVersion": BINDING,
            }
        },
    }


def _message(record: str) -> dict[str, Any]:
    schema, written = schema_of(record), sample(record)
    headers = [name for name, _ in event_headers(written, "evt_1", 0)]
    return {
        "name": f"{schema['namespace']}.{record}",
        "title": record,
        "summary": schema["doc"],
        "contentType": "application/avro",
        "headers": {
            "type": "object",
            "description": "CloudEvents 1.0, binary mode; traceparent where the callback carried one.",
            "required": headers,
            "properties": {name: {"type": "string"} for name in [*headers, "traceparent"]},
        },
        "payload": {"schemaFormat": AVRO, "schema": schema},
        "bindings": {
            "kafka": {
                "key": {"type": "string"},
                "schemaIdLocation": "payload",
                "schemaIdPayloadEncoding": "confluent",
                "schemaLookupStrategy": "TopicIdStrategy",
                "bindingVersion": BINDING,
            }
        },
        "examples": [{"name": "example", "payload": plain_example(record)}],
    }
