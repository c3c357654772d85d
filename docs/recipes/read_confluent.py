"""Reads delivery events with confluent-kafka and prints one JSON object a line.

    pip install "confluent-kafka[avro,schemaregistry]"
    KAFKA_BOOTSTRAP_SERVERS=localhost:9092 SCHEMA_REGISTRY_URL=http://localhost:8082 python read_confluent.py 10

The argument is how many events to read; without one it reads for ever.
"""

import json
import os
import sys
from itertools import count

from confluent_kafka import DeserializingConsumer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer

TOPIC = os.environ.get("TOPIC", "sms.events.delivery")

registry = SchemaRegistryClient({"url": os.environ["SCHEMA_REGISTRY_URL"]})
consumer = DeserializingConsumer(
    {
        "bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        "group.id": os.environ.get("GROUP", "delivery-report"),
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "value.deserializer": AvroDeserializer(registry),
    }
)
consumer.subscribe([TOPIC])

# Events come at least once. Keep ids for as long as a repetition can come after: a set of the last hours will do.
seen: set[str] = set()
wanted = range(int(sys.argv[1])) if len(sys.argv) > 1 else count()
try:
    for _ in wanted:
        message = None
        while message is None:
            message = consumer.poll(1.0)
        event = message.value()
        if event["event_id"] not in seen:
            seen.add(event["event_id"])
            print(json.dumps(event, default=str), flush=True)
        # What was printed is done. A crash before this line repeats the event.
        consumer.commit(message)
finally:
    consumer.close()
