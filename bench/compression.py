"""`python -m bench.compression [--records N]`: what each compression of the public topics costs, and whom.

Writes delivery events with their headers, in bursts like the batches of streams, to topics of its own broker:
compressed by the producer, or by the producer with lz4 and again by the broker (`compression.type` of the topic).
Prints for each: bytes per record on disk, and microseconds of processor time per record, ours and the broker's.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from kafka.admin import KafkaAdminClient
from msgspec.structs import replace

from bench.history import DETAILS
from bench.measure import compiling_seconds, cpu_seconds
from bus.embedded.broker import EmbeddedKafka
from schemas.cloudevents import Headers, event_headers
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.ids import derived_id, recipient_key
from schemas.records import DeliveryEvent
from schemas.samples import sample

BURST, PARTITIONS = 2_000, 12
WARM_UP = 10_000


@dataclass(frozen=True)
class Way:
    """How records are compressed: by the producer, then by the broker (`producer`: kept unchanged)."""

    producer: str
    broker: str = "producer"
    level: int | None = None

    @property
    def name(self) -> str:
        level = "" if self.level is None else f", level {self.level}"
        return self.producer if self.broker == "producer" else f"{self.producer}, broker {self.broker}{level}"

    @property
    def topic_settings(self) -> dict[str, str]:
        levels = {} if self.level is None else {f"compression.{self.broker}.level": str(self.level)}
        return {"compression.type": self.broker, **levels}


WAYS = (
    Way("none"),
    Way("lz4"),
    Way("snappy"),
    Way("zstd"),
    Way("gzip"),
    Way("lz4", "uncompressed"),
    Way("lz4", "gzip", 1),
    Way("lz4", "gzip"),
    Way("lz4", "zstd"),
)


def events(count: int) -> list[tuple[bytes, bytes, Headers]]:
    """Return key, value, and headers of delivery events of 50,000 recipients."""
    model, codec = sample("DeliveryEvent"), Codec(FolderRegistry())
    assert isinstance(model, DeliveryEvent)
    made = []
    for number in range(count):
        recipient = f"+1555{number * 7919 % 50_000:07d}"
        event = replace(
            model,
            event_id=derived_id("bench", number),
            message_id=derived_id("m", number),
            provider_message_id=derived_id("p", number),
            to=recipient,
            status_detail=DETAILS[number % 13 % len(DETAILS)],
            timestamp=model.timestamp + number * 37 % 1_000_003,
        )
        headers = event_headers(event, event.event_id, event.timestamp)
        made.append((recipient_key("acme", recipient), codec.encode(event), headers))
    return made


async def _write(producer: AIOKafkaProducer, topic: str, records: list[tuple[bytes, bytes, Any]]) -> None:
    for start in range(0, len(records), BURST):
        sent = [
            await producer.send(topic, value, key=key, headers=headers)
            for key, value, headers in records[start : start + BURST]
        ]
        await asyncio.gather(*sent)


async def measure(kafka: EmbeddedKafka, way: Way, number: int, records: list[tuple[bytes, bytes, Headers]]) -> str:
    """Return a line of the table."""
    topic, pid = f"bench.{number}", kafka.pid
    assert pid is not None
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    admin.create_topics({topic: {"num_partitions": PARTITIONS, "replication_factor": 1, "configs": way.topic_settings}})
    admin.close()
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers,
        acks="all",
        enable_idempotence=True,
        linger_ms=5,
        max_batch_size=131_072,
        compression_type=None if way.producer == "none" else way.producer,
    )
    await producer.start()
    await _write(producer, topic, records[:WARM_UP])
    size, ours, theirs = _size(kafka, topic), time.process_time(), cpu_seconds(pid) - compiling_seconds(pid)
    await _write(producer, topic, records)
    ours, theirs = time.process_time() - ours, cpu_seconds(pid) - compiling_seconds(pid) - theirs
    await producer.stop()
    per = 1_000_000 / len(records)
    size = _size(kafka, topic) - size
    return f"{way.name:<28}{size / len(records):>10.0f}{ours * per:>10.1f}{theirs * per:>10.1f}"


def _size(kafka: EmbeddedKafka, topic: str) -> int:
    return sum(path.stat().st_size for path in Path(kafka.data_dir).rglob(f"{topic}-*/*.log"))


async def _main(count: int) -> None:
    records = events(count)
    print(f"{'compression':<28}{'bytes':>10}{'us, ours':>10}{'us, theirs':>12}")
    with tempfile.TemporaryDirectory(prefix="trackly-bench-") as name, EmbeddedKafka(Path(name)) as kafka:
        for number, way in enumerate((Way("none"), *WAYS)):
            line = await measure(kafka, way, number, records)
            if number:  # the first one warms the broker up
                print(line, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench.compression", description=__doc__)
    parser.add_argument("--records", type=int, default=200_000, help="number of events (200000)")
    asyncio.run(_main(parser.parse_args().records))
