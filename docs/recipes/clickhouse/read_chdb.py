"""Reads topics with chdb, which is ClickHouse without a server, and prints one JSON object a record.

    pip install chdb==4.4.0 confluent-kafka==2.16.1
    export KAFKA_BOOTSTRAP_SERVERS=localhost:9092 SCHEMA_REGISTRY_URL=http://localhost:8082
    python read_chdb.py 10 sms.events.delivery sms.contacts

How many records to read (0: for ever), then which topics. ClickHouse's Avro reader makes columns of the schemas. The
records come by confluent-kafka, because chdb cannot start the Kafka engine that the server has.
"""

import json
import os
import sys
from itertools import groupby
from tempfile import NamedTemporaryFile

import chdb
from confluent_kafka import Consumer, KafkaException

ROWS = """
SELECT * FROM file('{}', AvroConfluent)
SETTINGS format_avro_schema_registry_url = '{}', date_time_output_format = 'iso', max_threads = 1
"""


def decode(values):
    """The rows that ClickHouse makes of values of one topic, in their order."""
    if not values:
        return []
    with NamedTemporaryFile() as file:
        file.write(b"".join(values))
        file.flush()
        answer = chdb.query(ROWS.format(file.name, os.environ["SCHEMA_REGISTRY_URL"]), "JSONEachRow")
    return [json.loads(line) for line in str(answer).splitlines()]


def show(records):
    """Print records of one topic, each as one JSON line."""
    rows = iter(decode([record.value() for record in records if record.value() is not None]))
    for record in records:
        kind = dict(record.headers() or []).get("ce_type")
        # A record without a value is none for ClickHouse, and its Kafka engine leaves it out: its key is gone.
        value = None if record.value() is None else next(rows)
        line = {"topic": record.topic(), "key": record.key().decode(), "type": kind and kind.decode(), "value": value}
        print(json.dumps(line), flush=True)


def main(wanted, *topics):
    consumer = Consumer(
        {
            "bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"],
            "group.id": os.environ.get("GROUP", "chdb-report"),
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe(list(topics))
    left = int(wanted)
    while True:
        records = consumer.consume(min(left or 1000, 1000), timeout=1.0)
        for record in records:
            if record.error():
                raise KafkaException(record.error())
        records.sort(key=lambda record: record.topic())
        for _, group in groupby(records, key=lambda record: record.topic()):
            show(list(group))
        left -= len(records)
        if int(wanted) and left == 0:
            break
    consumer.close()


main(*sys.argv[1:])
