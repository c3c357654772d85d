"""Reads topics with confluent-kafka and prints one JSON object a record.

    pip install "confluent-kafka[avro,schemaregistry]==2.16.1"
    export KAFKA_BOOTSTRAP_SERVERS=localhost:9092 SCHEMA_REGISTRY_URL=http://localhost:8082
    python read_confluent.py 10 sms.events.delivery sms.contacts

How many records to read (0: for ever), then which topics.
"""

import json
import os
import sys
from datetime import datetime
from itertools import count

from confluent_kafka import DeserializingConsumer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer

wanted, *topics = sys.argv[1:] or ["0"]
registry = SchemaRegistryClient({"url": os.environ["SCHEMA_REGISTRY_URL"]})
consumer = DeserializingConsumer(
    {
        "bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        "group.id": os.environ.get("GROUP", "confluent-report"),
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "value.deserializer": AvroDeserializer(registry),
    }
)
consumer.subscribe(topics or ["sms.events.delivery"])


def plain(value):
    """What JSON has no word for. Times come as datetime with a zone."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value.decode()


# Events come at least once. Keep ids for as long as a repetition can come after: a set of the last hours will do.
seen = set()
try:
    for _ in range(int(wanted)) if int(wanted) else count():
        message = None
        while message is None:
            message = consumer.poll(1.0)
        value = message.value()  # None: a record without a value, which says that its key is gone
        event = (message.topic(), value.get("event_id")) if value else None
        if event is None or event[1] is None or event not in seen:  # states of contacts have no id
            seen.add(event)
            headers = {name: text.decode() for name, text in message.headers() or [] if text is not None}
            record = {
                "topic": message.topic(),
                "key": message.key().decode(),
                "type": headers.get("ce_type"),
                "value": value,
            }
            print(json.dumps(record, default=plain), flush=True)
        # What was printed is done. A crash before this line repeats the record.
        consumer.commit(message)
finally:
    consumer.close()
