"""Moves an installation to topics under another prefix, with more partitions: permanent state, and waiting records.

Records are copied with their headers and times. Rows of tables go to the new partitions of their recipients
(`placing.py`). Processed history (callbacks, receipts, events) stays where it is, and can be read there until its
retention ends.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bus.admin import Admin, Partition
from bus.clients import new_producer
from bus.producer import MAX_REQUEST_BYTES, partition_of
from bus.reading.topic import BEGINNING, Start
from bus.settings import BusSettings
from schemas.codec import Codec
from schemas.registry import registry_for
from schemas.topics import Topic
from sinks.webhooks.delay_tiers import group_of
from sinks.webhooks.sink import TOPICS as WEBHOOK_INPUTS
from streams.app import CLICK_INPUTS, CONTACT_INPUTS
from trackly.commands.topics.placing import TABLES, of_row
from trackly.errors import Failed
from trackly.progress import Progress
from trackly.reading import open_topic
from trackly.writing import Unacknowledged

INPUTS = {"streams": ("raw", *CONTACT_INPUTS, *CLICK_INPUTS), "sinks": WEBHOOK_INPUTS}
"""Topics (catalogue short names) that services process in order. Records not processed yet are moved."""

KEPT = ("webhooks_dead", "audit", "api_requests")
"""Topics that are moved although they are not compacted: people and programs still use their content."""

LEFT = ("webhooks_replays",)
"""Compacted topics that are not moved: their records refer to positions in topics that stay behind."""

HELD = ("webhooks_parked",)
"""Topics whose records wait, like those of the delay topics."""

GONE_AFTER = 15.0
"""Seconds after which a process that has ended has left its group: its session ends after 10."""


def moved(settings: BusSettings) -> list[Topic]:
    """Return the topics whose records are moved."""
    return [
        topic
        for key, topic in settings.catalogue.items()
        if key not in LEFT and (topic.compacted or key in (*KEPT, *HELD) or topic.delay_ms is not None)
    ]


def check(admin: Admin, old: BusSettings, new: BusSettings) -> None:
    """Check that no process works on the moved topics. Raises Failed with the remedy."""
    if not admin.identities(topic.name for topic in old.catalogue.values()):
        raise Failed(f"No trackly topics begin with {old.topic_prefix!r}.")
    wait_for_the_end(admin, old, *INPUTS)
    there = admin.identities(topic.name for topic in moved(new))
    used = [name for name in there if any(admin.end_offsets(name).values())]
    if used:
        raise Failed(f"{used[0]} already has records: choose an unused prefix.")


def wait_for_the_end(admin: Admin, settings: BusSettings, *services: str) -> None:
    """Wait until no process of these services is in its group. Raises Failed if some stay."""
    deadline = time.monotonic() + GONE_AFTER
    while runs := [service for service in services if admin.has_members(settings.group(service))]:
        if time.monotonic() > deadline:
            raise Failed(f"{' and '.join(runs)} {'run' if runs[1:] else 'runs'}: stop all its processes first.")
        time.sleep(0.5)


async def copy(old: BusSettings, new: BusSettings) -> Counter[str]:
    """Copy the moved topics; returns records written, by topic. Raises Failed, aiokafka.errors.KafkaError."""
    codec = Codec(registry_for(old.schema_registry_url))
    producer = new_producer(
        new,
        acks="all",
        enable_idempotence=True,
        linger_ms=20,
        max_request_size=MAX_REQUEST_BYTES,
        max_batch_size=131_072,
    )
    written: Counter[str] = Counter()
    try:
        await producer.start()
        for topic, start in _starts(old).items():
            target = new.catalogue[topic.id]
            written[target.name] = await _copy(producer, old, topic, start, target, codec)
    finally:
        await producer.stop()
    return written


async def _copy(producer: Any, old: BusSettings, topic: Topic, start: Start, target: Topic, codec: Codec) -> int:
    placed = places(topic, target, codec)
    written, sent = 0, Unacknowledged()
    async with open_topic(old, topic.name, start) as source:
        progress = Progress(topic.name, source.size)
        async for record in source.rest():
            for partition in placed(record):
                await sent.add(
                    await producer.send(
                        target.name,
                        record.value,
                        key=record.key,
                        partition=partition,
                        timestamp_ms=record.timestamp,
                        headers=list(record.headers),
                    )
                )
                written += 1
            progress.add(1)
        await sent.wait()
        progress.end()
    return written


def places(topic: Topic, target: Topic, codec: Codec) -> Callable[[Any], Iterable[int]]:
    """Determines the partitions of `target` to which a record of `topic` belongs."""
    if topic.id in TABLES:
        return lambda record: of_row(
            topic.id, record.key, record.value, (record.partition, topic.partitions), target.partitions, codec
        )
    if topic.partitions == target.partitions or topic.delay_ms is not None or topic.id in HELD:
        # In a delay topic the partition is part of the delay.
        return lambda record: (record.partition,)
    return lambda record: (partition_of(record.key or b"", target.partitions),)


def _starts(old: BusSettings) -> dict[Topic, Start]:
    """What to copy, and from which offsets."""
    starts = dict.fromkeys(moved(old), BEGINNING)
    with Admin(old) as admin:
        existing = admin.identities(topic.name for topic in old.catalogue.values())
        for service, keys in INPUTS.items():
            committed = admin.group_offsets(old.group(service))
            starts |= {old.catalogue[key]: _from(committed, old.catalogue[key]) for key in keys}
        for topic in moved(old):
            if topic.delay_ms is not None or topic.id in HELD:
                starts[topic] = _from(admin.group_offsets(group_of(topic, old)), topic)
    return {topic: start for topic, start in starts.items() if topic.name in existing}


def _from(committed: Mapping[Partition, int], topic: Topic) -> Start:
    return Start(offsets={partition: offset for (name, partition), offset in committed.items() if name == topic.name})
