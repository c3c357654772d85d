"""Reads topics with aiokafka and fastavro and prints one JSON object a record.

    pip install aiokafka==0.14.0 fastavro==1.13.1
    export KAFKA_BOOTSTRAP_SERVERS=localhost:9092 SCHEMA_REGISTRY_URL=http://localhost:8082
    python read_aiokafka.py 10 sms.events.delivery sms.contacts

How many records to read (0: for ever), then which topics.
"""

import asyncio
import os
import sys

from aiokafka import AIOKafkaConsumer
from typed import decode, show


async def main(wanted, *topics):
    consumer = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        group_id=os.environ.get("GROUP", "aiokafka-report"),
        auto_offset_reset="earliest",
    )
    await consumer.start()
    read = 0
    try:
        async for record in consumer:
            show(record.topic, record.key, dict(record.headers), decode(record.value))
            read += 1
            if read == int(wanted):
                return
    finally:
        await consumer.stop()


asyncio.run(main(*sys.argv[1:]))
