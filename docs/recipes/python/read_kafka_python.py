"""Reads topics with kafka-python and fastavro and prints one JSON object a record.

    pip install kafka-python==3.0.12 fastavro==1.13.1
    export KAFKA_BOOTSTRAP_SERVERS=localhost:9092 SCHEMA_REGISTRY_URL=http://localhost:8082
    python read_kafka_python.py 10 sms.events.delivery sms.contacts

How many records to read (0: for ever), then which topics.
"""

import os
import sys

from kafka import KafkaConsumer
from typed import decode, show

wanted, *topics = sys.argv[1:]
consumer = KafkaConsumer(
    *topics,
    bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"],
    group_id=os.environ.get("GROUP", "kafka-python-report"),
    auto_offset_reset="earliest",
)
for read, record in enumerate(consumer, 1):
    show(record.topic, record.key, dict(record.headers), decode(record.value))
    if read == int(wanted):
        break
consumer.close()
