"""Reads the state of contacts with kafka-python and fastavro: whether each may be texted.

    pip install kafka-python==3.0.12 fastavro==1.13.1
    KAFKA_BOOTSTRAP_SERVERS=localhost:9092 SCHEMA_REGISTRY_URL=http://localhost:8082 python contacts_kafka_python.py

Reads the whole compacted topic once and prints the states of contacts that must not be texted, one JSON object a line.
To ask about one number, use `may_be_texted` of contacts.py: a state may also be under another name of the person.
"""

import json
import os

from contacts import Contacts
from kafka import KafkaConsumer, TopicPartition
from typed import decode, plain

TOPIC = os.environ.get("TOPIC", "sms.contacts")


consumer = KafkaConsumer(bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"], auto_offset_reset="earliest")
partitions = [TopicPartition(TOPIC, number) for number in consumer.partitions_for_topic(TOPIC)]
consumer.assign(partitions)
ends = consumer.end_offsets(partitions)

contacts = Contacts()
while any(consumer.position(partition) < end for partition, end in ends.items()):
    for records in consumer.poll(timeout_ms=500).values():
        for record in records:
            contacts.take(record.key, record.headers, decode(record.value))
consumer.close()

for contact in contacts.states.values():
    if not contact["active"]:
        print(json.dumps(contact, default=plain))
