"""Committed offsets outlive a standstill: brokers keep them for years, not for a week without members."""

from __future__ import annotations

import asyncio
import struct
import time
from typing import Any

import pytest

from bus.admin import Admin
from bus.clients import OFFSETS_KEPT_MS
from bus.reading.group import commit_what_is_mine, group_consumer
from bus.settings import BusSettings
from tests.patience import PATIENCE

pytestmark = pytest.mark.broker


async def test_a_broker_keeps_what_a_group_has_committed_for_years(bus_settings: BusSettings) -> None:
    with Admin(bus_settings, PATIENCE) as admin:
        admin.apply(bus_settings.catalogue)
    group, topic = bus_settings.group("sinks"), bus_settings.catalogue["delivery"].name
    async with asyncio.timeout(PATIENCE), group_consumer(bus_settings, group, [topic]) as consumer:
        while not consumer.assignment():
            await consumer.getmany(timeout_ms=100)
        (tp, *_) = consumer.assignment()
        await commit_what_is_mine(consumer, {tp: 0})
    assert expiry_of(bus_settings, group) == pytest.approx(time.time() * 1000 + OFFSETS_KEPT_MS, abs=600_000)


def expiry_of(settings: BusSettings, group: str) -> int | None:
    """Return until when (ms) Kafka keeps the offset that a group has committed; None: as long as its setting says."""
    from kafka import KafkaConsumer, TopicPartition

    consumer: Any = KafkaConsumer(
        **settings.kafka_python(), auto_offset_reset="earliest", exclude_internal_topics=False
    )
    tps = [
        TopicPartition("__consumer_offsets", number) for number in consumer.partitions_for_topic("__consumer_offsets")
    ]
    consumer.assign(tps)
    ends = consumer.end_offsets(tps)
    found = None
    while any(consumer.position(tp) < ends[tp] for tp in tps):
        for batch in consumer.poll(timeout_ms=500).values():
            for record in batch:
                if record.key[:2] in (b"\0\0", b"\0\1") and group.encode() in record.key and record.value:
                    found = record.value
    consumer.close()
    assert found is not None
    version, *_ = struct.unpack(">hqh", found[:12])
    return int(struct.unpack(">q", found[-8:])[0]) if version == 1 else None
